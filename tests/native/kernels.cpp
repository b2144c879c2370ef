// The kernels without torch, for ThreadSanitizer and for sizes that no test could afford to fill.
//
//   kernels threads   each kernel over parts of the rows on 1 to 4 threads: the same bits, no race
//   kernels sizes     rows whose offsets need more than 32 bits, in mappings whose pages come into
//                     being where they are touched
//
// Built by `make sanitize`, with -fsanitize=thread and with -fsanitize=address,undefined.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cpu/kernels.h"

using namespace gnnlib;
using namespace gnnlib::cpu;

static int failures = 0;
static void expect(bool good, const std::string& what) {
  if (!good) std::printf("FAILED: %s\n", what.c_str()), ++failures;
}

// threads -----------------------------------------------------------------------------------------

constexpr int64_t kDst = 300, kSrc = 200, kEdges = 6000, kHeads = 2, kDim = 19;

template <typename I>
struct Graph {
  std::vector<I> ptr, col, eid, dst;

  explicit Graph(bool empty_rows) {
    std::mt19937 random(3);
    std::vector<I> degree(kDst);
    for (int64_t k = 0; k < kEdges; ++k) {  // one hub, and rows without edges
      const uint32_t row = k % 3 ? random() % kDst : 7;
      ++degree[empty_rows ? row / 2 * 2 % kDst : row];
    }
    ptr.push_back(0);
    for (int64_t i = 0; i < kDst; ++i) {
      ptr.push_back(ptr[i] + degree[i]);
      for (I n = 0; n < degree[i]; ++n) dst.push_back(I(i));
    }
    for (int64_t k = 0; k < kEdges; ++k) {
      col.push_back(I(random() % kSrc));
      eid.push_back(I((k * 7 + 5) % kEdges));  // 7 and 6000 share no factor
    }
  }
  Csr csr() const { return {ptr.data(), col.data(), eid.data(), sizeof(I) == 8}; }
};

using Work = std::function<void(int64_t first, int64_t last)>;

// `work` over [0, rows) in parts handed out as threads become free, as the bindings do it.
static void run(const Work& work, int64_t rows, int threads) {
  if (threads == 1) return work(0, rows);
  constexpr int64_t parts = 23;
  std::atomic<int64_t> next{0};
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      for (int64_t p = next++; p < parts; p = next++)
        work(rows * p / parts, rows * (p + 1) / parts);
    });
  }
  for (auto& thread : pool) thread.join();
}

// The work writes into `out` (and `arg`): the same bits on any number of threads.
static void same_bits(const std::string& name, int64_t rows, std::vector<char>& out,
                      std::vector<char>& arg, const Work& work) {
  std::vector<char> expected, expected_arg;
  for (int threads : {1, 2, 4, 3}) {
    std::fill(out.begin(), out.end(), 0x55);
    std::fill(arg.begin(), arg.end(), 0x55);
    run(work, rows, threads);
    if (threads == 1) expected = out, expected_arg = arg;
    expect(out == expected && arg == expected_arg, name + " on " + std::to_string(threads));
  }
}

// The passes of attention. The CSR stands for its own transpose: what is read is inside, and what
// comes out need only be the same.
template <typename S, typename I>
static void attend(Dtype dtype, const std::string& label, const Graph<I>& graph,
                   const std::vector<S>& x, const std::vector<S>& y, std::vector<char>& out) {
  const Kernels& k = kernels();
  std::vector<double> scores(kEdges * kHeads, 0.25), lse(kDst * kHeads, 3),
      room(kEdges * kHeads * 2);
  std::vector<double> packed(kDst * kHeads * 3, 0.125), other(kDst * kHeads * kDim), third(other);
  std::vector<char> none, extra(other.size() * sizeof(double));
  for (Score score : {Score::gat, Score::gatv2, Score::dot}) {
    AttentionArgs a{};
    a.csr = graph.csr(), a.value = a.key = x.data(), a.query = y.data(), a.score = score;
    a.att = a.score_src = a.score_dst = scores.data();
    a.score_edge = score == Score::gatv2 ? nullptr : scores.data();
    a.out = out.data(), a.lse = lse.data(), a.slope = 0.2, a.scale = 0.5, a.seed = 3;
    a.threshold = 1 << 22, a.keep_scale = 4.0 / 3, a.heads = kHeads, a.dim = kDim, a.dtype = dtype;
    const auto name = "attention " + std::to_string(int(score)) + " " + label;
    same_bits(name, kDst, out, none,
              [&](int64_t first, int64_t last) { k.attention(a, first, last); });
    const std::vector<char> before = out;
    a.out = const_cast<char*>(before.data()), a.grad = y.data(), a.packed = packed.data();
    a.edges = room.data(), a.grad_query = extra.data(), a.grad_key = other.data();
    a.grad_value = third.data();
    if (score == Score::gat) {
      k.attention_pack(a, 0, kDst);
      a.pos = graph.eid.data(), a.grad_value = out.data(), a.grad_src = other.data();
      same_bits(name + " sources", kSrc, out, none,
                [&](int64_t first, int64_t last) { k.attention_gat_sources(a, first, last); });
      continue;
    }
    std::vector<double> att(kHeads * kDim);
    a.grad_query = out.data(), a.grad_att = score == Score::gatv2 ? att.data() : nullptr;
    // The gradient of att is one of all rows: with it, one call.
    if (a.grad_att) {
      k.attention_destinations(a, 0, kDst);
    } else {
      same_bits(name + " destinations", kDst, out, none,
                [&](int64_t first, int64_t last) { k.attention_destinations(a, first, last); });
    }
    a.pos = graph.eid.data(), a.grad_value = out.data();
    same_bits(name + " sources", kSrc, out, none,
              [&](int64_t first, int64_t last) { k.attention_sources(a, first, last); });
  }
}

template <typename S, typename I>
static void drive(Dtype dtype, const std::string& label) {
  const Kernels& k = kernels();
  const Graph<I> graph(label.back() == '4');
  const bool wide = sizeof(I) == 8;
  constexpr int64_t largest = kEdges * kHeads * kDim;
  std::vector<S> x(largest), y(largest), weight(kEdges * kHeads);
  for (size_t n = 0; n < x.size(); ++n)
    x[n] = S((n * 37 % 101) / 64.0), y[n] = S(n * 53 % 89 / 32.0);
  for (size_t n = 0; n < weight.size(); ++n) weight[n] = S(n * 31 % 97 / 64.0);
  std::vector<double> scale(kDst + kSrc, 1.5);  // read as floats: 0 and 1.9375 by turns
  std::vector<char> out(largest * sizeof(double)), arg(kDst * kHeads * kDim * sizeof(I));

  for (Reduce reduce : {Reduce::sum, Reduce::mean, Reduce::mul, Reduce::max, Reduce::min}) {
    SpmmArgs a{};
    a.csr = graph.csr(), a.weight = weight.data(), a.x = x.data();
    a.out = out.data(), a.arg = arg.data(), a.row_scale = a.col_scale = nullptr;
    if (reduce == Reduce::mean) a.row_scale = a.col_scale = scale.data();
    a.heads = kHeads, a.dim = kDim, a.dtype = dtype, a.reduce = reduce;
    a.x_stride = a.out_stride = a.term_stride = kHeads * kDim, a.factor = 1;
    const auto work = [&](int64_t first, int64_t last) { k.spmm(a, first, last); };
    for (Weights weights : {Weights::none, Weights::edge, Weights::feature, Weights::head}) {
      a.weights = weights;
      a.heads = weights == Weights::head ? kHeads : 1, a.dim = kHeads * kDim / a.heads;
      a.weight = weights == Weights::none      ? nullptr
                 : weights == Weights::feature ? static_cast<void*>(y.data())
                                               : weight.data();
      same_bits("spmm " + label, kDst, out, arg, work);
    }
    if (reduce != Reduce::sum) continue;
    a.term = y.data(), a.term_factor = 0.5;  // as each step of propagate
    same_bits("spmm and a term " + label, kDst, out, arg, work);
  }
  const std::vector<char> won = arg;  // of the min
  std::vector<char> none;
  {
    ArgWeightArgs a{graph.csr(), y.data(), x.data(), won.data(), out.data(), kHeads, kDim, dtype};
    same_bits("arg_weight " + label, kDst, out, none,
              [&](int64_t first, int64_t last) { k.arg_weight(a, first, last); });
    ArgBackwardArgs b{};
    b.csr = graph.csr(), b.weight = weight.data(), b.weights = Weights::head;
    b.grad = y.data(), b.arg = won.data(), b.out = out.data(), b.num_rows = kDst;
    b.heads = kHeads, b.dim = kDim, b.dtype = dtype;
    same_bits("arg_backward " + label, kSrc, out, none, [&](int64_t first, int64_t last) {
      std::vector<double> room(kSrc * 8);
      for (int64_t f = 0; f < kHeads * kDim; f += 8) {
        k.arg_backward(b, first, last, f, std::min(f + 8, kHeads * kDim), room.data());
      }
    });
    b.weights = Weights::edge, b.id = graph.eid.data();
    same_bits("arg_backward_rows " + label, kSrc, out, none,
              [&](int64_t first, int64_t last) { k.arg_backward_rows(b, first, last); });
  }
  {
    MultiArgs a{};
    std::vector<char> mean(largest * sizeof(double)), bottom(won.size());
    a.csr = graph.csr(), a.x = x.data(), a.out = out.data(), a.mean = mean.data();
    a.arg_max = arg.data(), a.arg_min = bottom.data(), a.dim = kDim, a.slots = 5, a.dtype = dtype;
    a.mean_slot = 1, a.max_slot = 2, a.min_slot = 3, a.std_slot = 4;
    same_bits("multi " + label, kDst, out, arg,
              [&](int64_t first, int64_t last) { k.multi(a, first, last); });
    a.even = a.spread = mean.data();
    same_bits("multi_backward " + label, kSrc, out, none,
              [&](int64_t first, int64_t last) { k.multi_backward(a, first, last); });
  }
  for (bool number : {true, false}) {
    SpmmAddArgs a{};
    a.csr = graph.csr(), a.x = x.data(), a.y = y.data(), a.out = out.data(), a.arg = arg.data();
    a.edge = number ? weight.data() : x.data() + 5, a.edge_is_number = number;
    a.grad = y.data(), a.grad_is_own = true, a.dim = kDim, a.alpha = 0.5, a.dtype = dtype;
    for (Reduce reduce : {Reduce::sum, Reduce::mean, Reduce::max}) {
      a.reduce = reduce, a.relu = reduce == Reduce::sum;
      same_bits("spmm_add " + label, kDst, out, arg,
                [&](int64_t first, int64_t last) { k.spmm_add(a, first, last); });
    }
    same_bits("spmm_add_gate " + label, kDst, out, none,
              [&](int64_t first, int64_t last) { k.spmm_add_gate(a, first, last); });
    same_bits("spmm_add_edge " + label, kDst, out, none,
              [&](int64_t first, int64_t last) { k.spmm_add_edge(a, first, last); });
  }
  attend<S, I>(dtype, label, graph, x, y, out);
  for (EdgeOp op : {EdgeOp::dot, EdgeOp::add, EdgeOp::sub, EdgeOp::mul, EdgeOp::copy}) {
    SddmmArgs a{};
    a.csr = graph.csr(), a.a = x.data(), a.b = y.data(), a.out = out.data();
    a.heads = kHeads, a.dim = op == EdgeOp::dot ? kDim : 1, a.dtype = dtype, a.op = op;
    same_bits("sddmm " + label, kDst, out, none,
              [&](int64_t first, int64_t last) { k.sddmm(a, first, last); });
  }
  SoftmaxArgs s{};
  s.csr = graph.csr(), s.scores = weight.data(), s.grad = x.data(), s.out = out.data();
  s.heads = kHeads, s.dtype = dtype;
  same_bits("softmax " + label, kDst, out, none,
            [&](int64_t first, int64_t last) { k.softmax(s, first, last); });
  same_bits("softmax_backward " + label, kDst, out, none,
            [&](int64_t first, int64_t last) { k.softmax_backward(s, first, last); });
  RowsArgs rows{};
  rows.from = x.data(), rows.to = out.data(), rows.index = graph.dst.data(), rows.wide = wide;
  rows.bytes = kDim * sizeof(S);
  same_bits("expand " + label, kDst, out, none,
            [&](int64_t first, int64_t last) { k.expand(graph.csr(), rows, first, last); });
  same_bits("gather " + label, kEdges, out, none,
            [&](int64_t first, int64_t last) { k.gather(rows, first, last); });
  ScatterAddArgs add{};
  add.index = graph.col.data(), add.x = x.data(), add.out = out.data(), add.num_edges = kEdges;
  add.dim = kDim, add.dtype = dtype, add.wide = wide;
  same_bits("scatter_add " + label, kSrc, out, none,
            [&](int64_t first, int64_t last) { k.scatter_add(add, first, last); });
  DropoutArgs d{};
  d.x = weight.data(), d.eid = graph.eid.data(), d.out = out.data(), d.seed = 5;
  d.threshold = 1 << 22, d.scale = 2, d.heads = kHeads, d.dtype = dtype, d.wide = wide;
  same_bits("dropout " + label, kEdges, out, none,
            [&](int64_t first, int64_t last) { k.dropout(d, first, last); });
}

// sizes -------------------------------------------------------------------------------------------

// Memory of which only the touched pages exist, all zero.
template <typename T>
static T* vast(int64_t count) {
  void* at = mmap(nullptr, size_t(count) * sizeof(T), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) std::perror("mmap"), std::exit(2);
  return static_cast<T*>(at);
}

// The last row of 2^27 + 3, of 64 values each: int32 ids, and an offset of more than 2^33 values.
// Row, column, edge and weight all stand there, so that each product has to be one of 64 bits.
static void sizes() {
  constexpr int64_t n = (int64_t(1) << 27) + 3, dim = 64, last = n - 1;
  const Kernels& k = kernels();
  int32_t* ptr = vast<int32_t>(n + 1);
  int32_t* col = vast<int32_t>(n);
  int32_t* eid = vast<int32_t>(n);
  float* x = vast<float>(n * dim);
  float* out = vast<float>(n * dim);
  float* weight = vast<float>(n * dim);
  int32_t* arg = vast<int32_t>(n * dim);
  ptr[last] = int32_t(last), ptr[n] = int32_t(n);
  col[last] = eid[last] = int32_t(last);
  for (int64_t d = 0; d < dim; ++d) x[last * dim + d] = float(d + 1), weight[last * dim + d] = 2;
  const Csr csr{ptr, col, eid, false};
  const auto check = [&](const char* name, float a, float b) {
    expect(out[last * dim] == a && out[n * dim - 1] == b, name);
    expect(out[0] == 0 && out[(int32_t(uint32_t(last * dim)) & 0x7fffffff)] == 0, name);
    out[last * dim] = out[n * dim - 1] = 0;
  };
  SpmmArgs s{};
  s.csr = csr, s.weight = weight, s.x = x, s.out = out, s.arg = arg;
  s.dtype = Dtype::f32, s.reduce = Reduce::sum, s.factor = 1;
  s.x_stride = s.out_stride = s.term_stride = dim;
  for (Weights weights : {Weights::head, Weights::feature}) {
    s.weights = weights;
    s.heads = weights == Weights::head ? dim : 1, s.dim = dim / s.heads;
    k.spmm(s, last, n);
    check("spmm, weights", 2, 128);
  }
  s.term = x, s.term_factor = 1;
  k.spmm(s, last, n);
  check("spmm, a term", 3, 192);
  s.term = s.weight = nullptr, s.weights = Weights::none;
  for (Reduce reduce : {Reduce::sum, Reduce::mean, Reduce::mul, Reduce::max, Reduce::min}) {
    s.reduce = reduce;
    k.spmm(s, last, n);
    check("spmm", 1, 64);
  }
  expect(arg[last * dim] == last, "the winner of spmm");
  // arg_backward reads every row of arg: one row here, which has won the last edge.
  ArgBackwardArgs b{};
  b.csr = csr, b.grad = x + last * dim, b.arg = arg + last * dim, b.out = out, b.num_rows = 1;
  b.heads = 1, b.dim = dim, b.dtype = Dtype::f32;
  float room[dim];
  k.arg_backward(b, last, n, 0, dim, room);
  check("arg_backward", 1, 64);
  b.grad = x, b.arg = arg;  // of all rows
  k.arg_backward_rows(b, last, n);
  check("arg_backward_rows", 1, 64);
  MultiArgs m{};
  m.csr = csr, m.x = x, m.out = out, m.dim = dim, m.slots = 1, m.dtype = Dtype::f32;
  m.mean_slot = m.max_slot = m.min_slot = m.std_slot = -1;
  k.multi(m, last, n);
  check("multi", 1, 64);
  m.even = m.spread = m.mean = x;  // x + x (x − x)
  k.multi_backward(m, last, n);
  check("multi_backward", 1, 64);
  ArgWeightArgs w{csr, x, x, arg, out, dim, 1, Dtype::f32};
  k.arg_weight(w, last, n);
  check("arg_weight", 1, 64 * 64);
  SddmmArgs d{csr, x, x, out, dim, 1, Dtype::f32, EdgeOp::dot};
  for (EdgeOp op : {EdgeOp::dot, EdgeOp::mul}) {
    d.op = op;
    k.sddmm(d, last, n);
    check("sddmm", 1, 64 * 64);
  }
  d.op = EdgeOp::copy, d.a = nullptr;
  k.sddmm(d, last, n);
  check("sddmm copy", 1, 64);
  SoftmaxArgs soft{csr, x, weight, out, dim, Dtype::f32};
  k.softmax(soft, last, n);
  check("softmax", 1, 1);
  soft.scores = weight, soft.grad = x;  // p (g − p g), of p = 2
  k.softmax_backward(soft, last, n);
  check("softmax_backward", -2, -128);
  RowsArgs rows{x, out, eid, dim * int64_t(sizeof(float)), false};
  k.expand(csr, rows, last, n);
  check("expand", 1, 64);
  k.gather(rows, last, n);
  check("gather", 1, 64);
  DropoutArgs drop{x, eid, out, 0, nullptr, 0, 1.0, dim, Dtype::f32, false};
  k.dropout(drop, last, n);
  check("dropout", 1, 64);
  int32_t* one = col + last;  // scatter_add reads its whole index: one edge, into the last row
  ScatterAddArgs add{one, x + last * dim, out, 1, dim, Dtype::f32, false};
  k.scatter_add(add, last, n);
  check("scatter_add", 1, 64);
}

int main(int, char** argv) {
  // The kernels of the table, counted: whoever adds one drives it here too.
  static_assert(sizeof(Kernels) == 22 * sizeof(void*));
  if (argv[1] && std::strcmp(argv[1], "threads") == 0) {
    drive<float, int32_t>(Dtype::f32, "f32 i32");
    drive<double, int64_t>(Dtype::f64, "f64 i64");
    drive<_Float16, int64_t>(Dtype::f16, "f16 i64");
  } else if (argv[1] && std::strcmp(argv[1], "sizes") == 0) {
    sizes();
  } else {
    return std::printf("usage: kernels threads|sizes\n"), 2;
  }
  std::printf("%s: %s, %d failed\n", kernels().name, argv[1], failures);
  return failures != 0;
}
