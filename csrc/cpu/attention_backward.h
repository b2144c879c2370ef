// The gradients of attention. With p the softmax, m the mask of dropout and g the gradient of out:
//
//   d(score) = p · (m · Σ_d g[i] · value[j] − Σ_d g[i] · out[i]),   d(value[j]) = Σ over i of m p
//   g[i]
//
// p comes from the scores and the logarithm of their sum, which the forward pass leaves behind.
// What belongs to a source is summed over the transpose, what belongs to a destination over the
// CSR, so every sum has one owner; between the two passes go arrays [E, heads].
#pragma once

#include <cstring>

#include "attention.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// What each edge of a source needs of its destination, side by side: score_dst, lse, Σ_d g · out.
void attention_pack(const AttentionArgs& args, int64_t first, int64_t end) {
  if (args.heads == 0) return;
  dispatch(args.dtype, false, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const AttentionPass<S> pass(args);
    const int64_t heads = args.heads, stride = pass.stride;
    const A* dst = static_cast<const A*>(args.score_dst);
    const A* lse = static_cast<const A*>(args.lse);
    Scratch<A> room, delta;
    room.reserve(stride);
    delta.reserve(heads + 16);
    for (int64_t i = first; i < end; ++i) {
      const S* out = static_cast<const S*>(args.out) + i * stride;
      const A* grad = pass.own(static_cast<const S*>(args.grad) + i * stride, room);
      auto row = [&](int64_t) __attribute__((always_inline)) { return out; };
      head_sums<S>(1, heads, args.dim, row, DotProduct<S>{grad}, delta.data);
      A* to = static_cast<A*>(args.packed) + i * 3 * heads;
      for (int64_t h = 0; h < heads; ++h) {
        to[h] = dst ? dst[i * heads + h] : A(0);
        to[heads + h] = lse[i * heads + h];
        to[2 * heads + h] = delta.data[h];
      }
    }
  });
}

template <typename S>
struct GatSources {
  using A = Accumulate<S>;
  const AttentionArgs& args;
  AttentionPass<S> pass;
  const int64_t heads, stride;
  const A *src, *edge, *packed;
  Scratch<A> raw, p, weight, product, factor, kept, room, sums;
  A *sum, *sum_before;

  explicit GatSources(const AttentionArgs& a)
      : args(a),
        pass(a),
        heads(a.heads),
        stride(pass.stride),
        src(static_cast<const A*>(a.score_src)),
        edge(static_cast<const A*>(a.score_edge)),
        packed(static_cast<const A*>(a.packed)) {
    for (auto* scratch : {&raw, &p, &weight, &product, &factor}) {
      scratch->reserve(kBlock * heads + 16);
    }
    kept.reserve(stride + 16);
    room.reserve(stride);
    sums.reserve(2 * heads);
    sum = sums.data, sum_before = sum + heads;
  }

  GNNLIB_INLINE const A* of(int64_t b) const { return packed + pass.col[b] * 3 * heads; }

  void probabilities(int64_t j, int64_t n) {
    for_tiles<A, 2>(heads, [&]<int N, int V>(int64_t start, int64_t last) {
      for (int v = 0; v < V; ++v) {
        const int64_t h = v == V - 1 ? last : start + v * N;
        const Vec<A, N> mine = src ? load<A, N>(src + j * heads + h) : Vec<A, N>{};
        for (int64_t b = 0; b < n; ++b) {
          Vec<A, N> s = mine + load<A, N>(of(b) + h);
          if (edge) s += load<A, N>(edge + pass.id[b] * heads + h);
          store<A, N>(raw.data + b * heads + h, s);
          s = s > 0 ? s : s * pass.slope;
          store<A, N>(p.data + b * heads + h, s - load<A, N>(of(b) + heads + h));
        }
      }
    });
    exp_all(p.data, n * heads);
  }

  void score_gradients(int64_t n, bool opens) {
    A* to = static_cast<A*>(args.edges);
    std::swap(sum, sum_before);
    for_tiles<A, 2>(heads, [&]<int N, int V>(int64_t start, int64_t last) {
      for (int v = 0; v < V; ++v) {
        const int64_t h = v == V - 1 ? last : start + v * N;
        Vec<A, N> total = {};
        for (int64_t b = 0; b < n; ++b) {
          Vec<A, N> d =
              load<A, N>(product.data + b * heads + h) - load<A, N>(of(b) + 2 * heads + h);
          d *= load<A, N>(p.data + b * heads + h);
          d = load<A, N>(raw.data + b * heads + h) > 0 ? d : d * pass.slope;
          total += d;
          if (to) store<A, N>(to + (edge ? pass.id[b] : pass.at[b]) * heads + h, d);
        }
        if (!opens) total += load<A, N>(sum_before + h);
        store<A, N>(sum + h, total);
      }
    });
  }

  void run(int64_t first, int64_t end) {
    const int64_t limit = pass.begin_of(end);
    const S* grad = static_cast<const S*>(args.grad);
    int64_t stop = pass.begin_of(first);
    for (int64_t j = first; j < end; ++j) {
      const int64_t begin = stop;
      stop = pass.begin_of(j + 1);
      S* out = static_cast<S*>(args.grad_value) + j * stride;
      if (begin == stop) {
        for (int64_t f = 0; f < stride; ++f) store_one(out + f, A(0));
        for (int64_t h = 0; h < heads; ++h) sum[h] = 0;
      }
      const A* own = pass.own(static_cast<const S*>(args.value) + j * stride, room);
      for (int64_t k = begin; k < stop; k += kBlock) {
        const int64_t n = stop - k < kBlock ? stop - k : kBlock;
        const bool opens = k == begin, closes = k + n == stop;
        pass.fill(k, n, limit);
        auto row = [&](int64_t b) __attribute__((always_inline)) {
          pass.fetch_row(grad, b);
          for (int64_t byte = 0; byte < 3 * heads * int64_t(sizeof(A)); byte += 64)
            __builtin_prefetch(reinterpret_cast<const char*>(of(b + kAhead)) + byte);
          return grad + pass.col[b] * stride;
        };
        head_sums<S>(n, heads, args.dim, row, DotProduct<S>{own}, product.data);
        probabilities(j, n);
        const A* w = p.data;
        if (args.threshold) {
          pass.masks(n, factor.data);
          pass.mask(n * heads, factor.data, product.data);
          std::memcpy(weight.data, w, n * heads * sizeof(A));
          pass.mask(n * heads, factor.data, weight.data);
          w = weight.data;
        }
        score_gradients(n, opens);
        auto term = [&](int64_t b, bool) __attribute__((always_inline)) {
          return WeightedRow<S>{w + b * heads, grad + pass.col[b] * stride};
        };
        auto finish = [&]<int N>(int64_t, int64_t f, const Vec<A, N>& total, const auto&)
                          __attribute__((always_inline)) { store_vec<S, N>(out + f, total); };
        pass.sum_block(n, opens, closes, nullptr, kept.data, term, finish);
      }
      if (args.grad_src) {
        std::memcpy(static_cast<A*>(args.grad_src) + j * heads, sum, heads * sizeof(A));
      }
    }
  }
};

void attention_gat_sources(const AttentionArgs& args, int64_t first, int64_t end) {
  if (args.heads == 0) return;
  dispatch(args.dtype, false,
           [&]<typename S, typename I>() { GatSources<S>(args).run(first, end); });
}

// w[head] · leaky'(own + row), and w[head] · leaky(own + row)
template <typename S, bool Derivative>
struct LeakyTerm {
  using A = Accumulate<S>;
  const A* weight;
  const A* own;
  const S* row;
  A slope;

  template <int N, typename Spread>
  GNNLIB_INLINE Vec<A, N> operator()(int64_t f, const Spread& spread) const {
    const Vec<A, N> sum = load<A, N>(own + f) + load_vec<S, N>(row + f), w = spread(weight);
    if constexpr (Derivative)
      return sum > 0 ? w : w * slope;
    else
      return w * (sum > 0 ? sum : sum * slope);
  }
};

// gatv2 and dot: all that belongs to a destination, and (d(score), m p) of each edge.
template <typename S>
struct Destinations {
  using A = Accumulate<S>;
  const AttentionArgs& args;
  AttentionPass<S> pass;
  Scores<S> scores;
  const int64_t heads, stride;
  Scratch<A> score, p, product, factor, kept, room, delta, att;

  explicit Destinations(const AttentionArgs& a)
      : args(a), pass(a), scores(pass), heads(a.heads), stride(pass.stride) {
    for (auto* scratch : {&score, &p, &product, &factor}) scratch->reserve(kBlock * heads + 16);
    for (auto* scratch : {&kept, &att}) scratch->reserve(stride + 16);
    room.reserve(stride);
    delta.reserve(heads + 16);
    for (int64_t f = 0; f < stride + 16; ++f) att.data[f] = 0;
  }

  // score becomes d(score), p becomes m p.
  void weights(int64_t i, int64_t n) {
    const A* lse = static_cast<const A*>(args.lse) + i * heads;
    for (int64_t b = 0; b < n; ++b) {
      for (int64_t h = 0; h < heads; ++h)
        p.data[b * heads + h] = score.data[b * heads + h] - lse[h];
    }
    exp_all(p.data, n * heads);
    if (args.threshold) {
      pass.masks(n, factor.data);
      pass.mask(n * heads, factor.data, product.data);
    }
    for (int64_t b = 0; b < n; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t k = b * heads + h;
        score.data[k] = p.data[k] * (product.data[k] - delta.data[h]);
      }
    }
    if (args.threshold) pass.mask(n * heads, factor.data, p.data);
    A* to = static_cast<A*>(args.edges);
    A* edge = static_cast<A*>(args.grad_edge);
    for (int64_t b = 0; b < n; ++b) {
      std::memcpy(to + pass.at[b] * 2 * heads, score.data + b * heads, heads * sizeof(A));
      std::memcpy(to + (pass.at[b] * 2 + 1) * heads, p.data + b * heads, heads * sizeof(A));
      if (edge) std::memcpy(edge + pass.id[b] * heads, score.data + b * heads, heads * sizeof(A));
    }
  }

  void query_gradient(int64_t n, bool opens, bool closes, S* out) {
    const A* att_ = static_cast<const A*>(args.att);
    if (args.score == Score::dot) {
      const S* key = static_cast<const S*>(args.key);
      auto term = [&](int64_t b, bool) __attribute__((always_inline)) {
        return WeightedRow<S>{score.data + b * heads, key + pass.col[b] * stride};
      };
      auto finish =
          [&]<int N>(int64_t, int64_t f, const Vec<A, N>& sum, const auto&)
              __attribute__((always_inline)) { store_vec<S, N>(out + f, sum * A(args.scale)); };
      return pass.sum_block(n, opens, closes, nullptr, kept.data, term, finish);
    }
    const S* value = static_cast<const S*>(args.value);
    auto term = [&](int64_t b, bool) __attribute__((always_inline)) {
      return LeakyTerm<S, true>{score.data + b * heads, scores.own, value + pass.col[b] * stride,
                                pass.slope};
    };
    auto finish = [&]<int N>(int64_t, int64_t f, const Vec<A, N>& sum, const auto&)
                      __attribute__((always_inline)) {
                        store_vec<S, N>(out + f, sum * load<A, N>(att_ + f));
                      };
    pass.sum_block(n, opens, closes, nullptr, kept.data, term, finish);
    // Block by block, so that no sum has one addend an edge.
    auto att_term = [&](int64_t b, bool) __attribute__((always_inline)) {
      return LeakyTerm<S, false>{score.data + b * heads, scores.own, value + pass.col[b] * stride,
                                 pass.slope};
    };
    auto att_finish = [&]<int N>(int64_t slot, int64_t, const Vec<A, N>& sum, const auto&)
                          __attribute__((always_inline)) {
                            store<A, N>(att.data + slot, load<A, N>(att.data + slot) + sum);
                          };
    pass.sum_block(n, true, true, nullptr, nullptr, att_term, att_finish);
  }

  void run(int64_t first, int64_t end) {
    const int64_t limit = pass.begin_of(end);
    const S* value = static_cast<const S*>(args.value);
    int64_t stop = pass.begin_of(first);
    for (int64_t i = first; i < end; ++i) {
      const int64_t begin = stop;
      stop = pass.begin_of(i + 1);
      S* out = static_cast<S*>(args.grad_query) + i * stride;
      if (begin == stop) {
        for (int64_t f = 0; f < stride; ++f) store_one(out + f, A(0));
        continue;
      }
      const DotProduct<S> grad{pass.own(static_cast<const S*>(args.grad) + i * stride, room)};
      const S* result = static_cast<const S*>(args.out) + i * stride;
      head_sums<S>(1, heads, args.dim, [&](int64_t) { return result; }, grad, delta.data);
      scores.begin(i);
      for (int64_t k = begin; k < stop; k += kBlock) {
        const int64_t n = stop - k < kBlock ? stop - k : kBlock;
        pass.fill(k, n, limit);
        scores(i, n, score.data);
        auto row = [&](int64_t b)
                       __attribute__((always_inline)) { return value + pass.col[b] * stride; };
        head_sums<S>(n, heads, args.dim, row, grad, product.data);
        weights(i, n);
        query_gradient(n, k == begin, k + n == stop, out);
      }
    }
    if (args.score != Score::gatv2) return;
    for_tiles<S>(stride, [&]<int N, int V>(int64_t start, int64_t last) {
      for (int v = 0; v < V; ++v) {
        store<A, N>(static_cast<A*>(args.grad_att) + (v == V - 1 ? last : start + v * N),
                    load<A, N>(att.data + start + v * N));
      }
    });
  }
};

void attention_destinations(const AttentionArgs& args, int64_t first, int64_t end) {
  if (args.heads == 0) return;
  dispatch(args.dtype, false,
           [&]<typename S, typename I>() { Destinations<S>(args).run(first, end); });
}

// m p · grad + att · d(score) · leaky'(own + x_dst)
template <typename S>
struct SourceTerm {
  using A = Accumulate<S>;
  WeightedRow<S> value;
  LeakyTerm<S, true> score;
  const A* att;

  template <int N, typename Spread>
  GNNLIB_INLINE Vec<A, N> operator()(int64_t f, const Spread& spread) const {
    return value.template operator()<N>(f, spread) +
           load<A, N>(att + f) * score.template operator()<N>(f, spread);
  }
};

// gatv2 and dot: all that belongs to a source.
template <typename S>
void source_rows(const AttentionArgs& args, int64_t first, int64_t end) {
  using A = Accumulate<S>;
  AttentionPass<S> pass(args);
  const int64_t heads = args.heads, stride = pass.stride, limit = pass.begin_of(end);
  const S* grad = static_cast<const S*>(args.grad);
  const S* query = static_cast<const S*>(args.query);
  const A* edges = static_cast<const A*>(args.edges);
  Scratch<A> score, weight, kept, kept_key, room;
  for (auto* scratch : {&score, &weight}) scratch->reserve(kBlock * heads + 16);
  for (auto* scratch : {&kept, &kept_key}) scratch->reserve(stride + 16);
  room.reserve(stride);
  int64_t stop = pass.begin_of(first);
  for (int64_t j = first; j < end; ++j) {
    const int64_t begin = stop;
    stop = pass.begin_of(j + 1);
    S* out = static_cast<S*>(args.grad_value) + j * stride;
    S* out_key = static_cast<S*>(args.grad_key) + (args.grad_key ? j * stride : 0);
    if (begin == stop) {
      for (int64_t f = 0; f < stride; ++f) {
        store_one(out + f, A(0));
        if (args.grad_key) store_one(out_key + f, A(0));
      }
      continue;
    }
    const A* own = pass.own(static_cast<const S*>(args.value) + j * stride, room);
    for (int64_t k = begin; k < stop; k += kBlock) {
      const int64_t n = stop - k < kBlock ? stop - k : kBlock;
      const bool opens = k == begin, closes = k + n == stop;
      pass.fill(k, n, limit);
      for (int64_t b = 0; b < n; ++b) {
        const char* at = reinterpret_cast<const char*>(edges + pass.at[b] * 2 * heads);
        for (int64_t byte = 0; byte < 2 * heads * int64_t(sizeof(A)); byte += 64)
          __builtin_prefetch(at + byte);
      }
      for (int64_t b = 0; b < n; ++b) {
        const A* from = edges + pass.at[b] * 2 * heads;
        std::memcpy(score.data + b * heads, from, heads * sizeof(A));
        std::memcpy(weight.data + b * heads, from + heads, heads * sizeof(A));
      }
      auto store_out = [&]<int N>(int64_t, int64_t f, const Vec<A, N>& sum, const auto&)
                           __attribute__((always_inline)) { store_vec<S, N>(out + f, sum); };
      auto value_term = [&](int64_t b, bool ahead) __attribute__((always_inline)) {
        if (ahead) pass.fetch_row(grad, b), pass.fetch_row(query, b);
        return WeightedRow<S>{weight.data + b * heads, grad + pass.col[b] * stride};
      };
      if (args.score == Score::gatv2) {
        auto term = [&](int64_t b, bool ahead) __attribute__((always_inline)) {
          return SourceTerm<S>{
              value_term(b, ahead),
              {score.data + b * heads, own, query + pass.col[b] * stride, pass.slope},
              static_cast<const A*>(args.att)};
        };
        pass.sum_block(n, opens, closes, nullptr, kept.data, term, store_out);
        continue;
      }
      pass.sum_block(n, opens, closes, nullptr, kept.data, value_term, store_out);
      auto key_term = [&](int64_t b, bool) __attribute__((always_inline)) {
        return WeightedRow<S>{score.data + b * heads, query + pass.col[b] * stride};
      };
      auto store_key =
          [&]<int N>(int64_t, int64_t f, const Vec<A, N>& sum, const auto&)
              __attribute__((always_inline)) { store_vec<S, N>(out_key + f, sum * A(args.scale)); };
      pass.sum_block(n, opens, closes, nullptr, kept_key.data, key_term, store_key);
    }
  }
}

void attention_sources(const AttentionArgs& args, int64_t first, int64_t end) {
  if (args.heads == 0) return;
  dispatch(args.dtype, false, [&]<typename S, typename I>() { source_rows<S>(args, first, end); });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
