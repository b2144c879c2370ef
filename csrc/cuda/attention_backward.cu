// The gradients of attention. With p the softmax, m the mask of dropout and g the gradient of out:
//
//   d(score) = p · (m · Σ_d g[i] · value[j] − Σ_d g[i] · out[i]),   d(value[j]) = Σ over i of m p
//   g[i]
//
// d(score) and m p are found edge by edge and kept, [E, H] each; what is summed over the edges of a
// destination or a source are then reductions of rows like any other.
#include "attention.h"
#include "attention_scores.h"
#include "reduce.h"

namespace gnnlib::cuda {
namespace {

// A score's product and g[i] · value[j], at once.
template <typename Score, typename Product>
struct Both {
  Score score;
  Product product;

  template <typename Ends>
  GNNLIB_DEVICE auto operator()(const Ends& ends, int64_t f) const {
    return Pair<decltype(score(ends, f))>{score(ends, f), product(ends, f)};
  }
};

// Keeps d(score) and m p of an edge and head, from Σ_d g[i] · value[j] and the products of the
// score.
template <typename A, typename I>
struct PutGradient {
  AttentionArgs args;
  RawScore<A, I> score;
  DropFactor<I> drop;
  const A* delta;
  A* d_score;
  A* weight;

  GNNLIB_DEVICE void operator()(const Ends& ends, int64_t h, A product) const {
    (*this)(ends, h, Pair<A>{0, product});
  }
  GNNLIB_DEVICE void operator()(const Ends& ends, int64_t h, const Pair<A>& found) const {
    const int64_t row = ends.i * args.heads + h, n = ends.k * args.heads + h;
    const A raw = found.first + score(ends.i, ends.k, h), slope = A(args.slope);
    const bool gat = args.score == Score::gat;
    const A p = exp_of((gat ? leaky(raw, slope) : raw) - static_cast<const A*>(args.lse)[row]);
    const A factor = drop.template of<A>(ends.k, h);
    const A product = factor == 0 ? A(0) : found.second * factor;
    A d = p * (product - delta[row]);
    if (gat && !(raw > 0)) d *= slope;
    d_score[n] = d;
    weight[n] = factor == 0 ? A(0) : p * factor;
    if (!args.grad_edge) return;
    const I* eid = static_cast<const I*>(args.csr.eid);
    static_cast<A*>(args.grad_edge)[(eid ? int64_t(eid[ends.k]) : ends.k) * args.heads + h] = d;
  }
};

template <typename S, typename I, int N>
struct HeadWeighted {
  HeadWeightedArgs args;

  GNNLIB_DEVICE void operator()(int64_t, int64_t k, int64_t at, Values<S, N>& value) const {
    using A = Accumulate<S>;
    const I* pos = static_cast<const I*>(args.csr.eid);
    const int64_t from = int64_t(static_cast<const I*>(args.csr.col)[k]) * args.heads * args.dim;
    const A* weight = static_cast<const A*>(args.weight) + (pos ? int64_t(pos[k]) : k) * args.heads;
    value.load(static_cast<const S*>(args.rows) + from + at);
    for (int n = 0; n < N; ++n) value.value[n] *= weight[(at + n) / args.dim];
  }
};

// What a gatv2 edge gives: to its destination d · att · leaky'(sum); to its source that and
// m p · g[i]; to att d · leaky(sum). T: the type of the result.
enum class Gatv2 { destination, source, att };
template <typename S, typename T, typename I, int N, Gatv2 To>
struct Gatv2Message {
  using A = Accumulate<S>;

  AttentionArgs args;
  const A* d_score;
  const A* weight;

  GNNLIB_DEVICE void operator()(int64_t row, int64_t k, int64_t at, Values<T, N>& value) const {
    const int64_t stride = args.heads * args.dim;
    const I* pos = static_cast<const I*>(args.csr.eid);
    const int64_t other = static_cast<const I*>(args.csr.col)[k];
    const int64_t i = To == Gatv2::source ? other : row, j = To == Gatv2::source ? row : other;
    const int64_t p = To == Gatv2::source ? int64_t(pos[k]) : k;
    Values<S, N> x, y, g;
    x.load(static_cast<const S*>(args.query) + i * stride + at);
    y.load(static_cast<const S*>(args.value) + j * stride + at);
    if (To == Gatv2::source) g.load(static_cast<const S*>(args.grad) + i * stride + at);
    for (int n = 0; n < N; ++n) {
      const int64_t h = p * args.heads + (at + n) / args.dim;
      const A sum = x.value[n] + y.value[n], d = d_score[h], slope = A(args.slope);
      if (To == Gatv2::att) {
        value.value[n] = d * leaky(sum, slope);
        continue;
      }
      const A through = d * static_cast<const A*>(args.att)[at + n];
      value.value[n] = sum > 0 ? through : through * slope;
      if (To == Gatv2::source) value.value[n] += weight[h] * g.value[n];
    }
  }
};

Result sum_into(void* out, int64_t values, double factor = 1) {
  return {out, nullptr, nullptr, nullptr, values, values, 0, factor, 0, Reduce::sum};
}

template <Gatv2 To>
void gatv2(const AttentionArgs& args, int64_t num_rows, int64_t num_edges,
           const EdgeGradients& edges, void* out, const Partials& partials, const Where& where) {
  const Result result = sum_into(out, args.heads * args.dim);
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    using T = std::conditional_t<To == Gatv2::att, A, S>;
    const A* d_score = static_cast<const A*>(edges.score);
    const A* weight = static_cast<const A*>(edges.weight);
    reduce_rows<T, I>("attention_gatv2_backward", result, args.csr.ptr, num_rows, num_edges,
                      partials, where,
                      [&]<int N>() { return Gatv2Message<S, T, I, N, To>{args, d_score, weight}; });
  });
}

}  // namespace

void attention_edges(const AttentionArgs& args, int64_t num_rows, int64_t num_edges,
                     const EdgeGradients& edges, const Where& where) {
  const char* name = "attention_backward";
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const int64_t heads = args.heads, dim = args.dim, stride = heads * dim;
    const S* grad = static_cast<const S*>(args.grad);
    const PutHeads<A, I> put_delta{static_cast<A*>(edges.delta), nullptr, heads};
    head_sums<S, I>(
        name, nullptr, nullptr, num_rows, num_rows, heads, dim, where, put_delta,
        [&]<int N>() { return DotOf<S, N>{grad, static_cast<const S*>(args.out), stride}; });
    const PutGradient<A, I> put{
        args,         RawScore<A, I>(args, nullptr), DropFactor<I>(args),
        put_delta.to, static_cast<A*>(edges.score),  static_cast<A*>(edges.weight)};
    auto sums = [&](const auto& make) {
      head_sums<S, I>(name, args.csr.ptr, args.csr.col, num_rows, num_edges, heads, dim, where, put,
                      make);
    };
    auto product = [&]<int N>() {
      return DotOf<S, N>{grad, static_cast<const S*>(args.value), stride};
    };
    if (args.score == Score::gat) return sums(product);
    with_products<S>(args, [&](const auto& make) {
      sums([&]<int N>() {
        auto score = make.template operator()<N>();
        return Both<decltype(score), DotOf<S, N>>{score, product.template operator()<N>()};
      });
    });
  });
}

void head_weighted(const HeadWeightedArgs& args, int64_t num_rows, int64_t num_edges,
                   const Partials& partials, const Where& where) {
  const Result result = sum_into(args.out, args.heads * args.dim, args.factor);
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    reduce_rows<S, I>("attention_backward", result, args.csr.ptr, num_rows, num_edges, partials,
                      where, [&]<int N>() { return HeadWeighted<S, I, N>{args}; });
  });
}

void attention_gatv2_destinations(const AttentionArgs& args, int64_t num_rows, int64_t num_edges,
                                  const EdgeGradients& edges, const Partials& partials,
                                  const Where& where) {
  gatv2<Gatv2::destination>(args, num_rows, num_edges, edges, args.grad_query, partials, where);
}

void attention_gatv2_sources(const AttentionArgs& args, int64_t num_src, int64_t num_edges,
                             const EdgeGradients& edges, const Partials& partials,
                             const Where& where) {
  gatv2<Gatv2::source>(args, num_src, num_edges, edges, args.grad_value, partials, where);
}

void attention_gatv2_att(const AttentionArgs& args, int64_t num_rows, int64_t num_edges,
                         const EdgeGradients& edges, void* rows, const Partials& partials,
                         const Where& where) {
  gatv2<Gatv2::att>(args, num_rows, num_edges, edges, rows, partials, where);
}

}  // namespace gnnlib::cuda
