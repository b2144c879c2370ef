// Vector types on the compiler's vector extension, and the storage types they load and store.
//
// Everything is in the namespace of the clone (GNNLIB_CLONE), so that no function compiled for one
// instruction set can be linked into another.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels.h"

// Vectors of 64 bytes a register tile may hold without spilling.
#if defined(__AVX512F__)
#define GNNLIB_TILE 8
#else
#define GNNLIB_TILE 4
#endif

#define GNNLIB_INLINE inline __attribute__((always_inline))

namespace gnnlib::cpu::GNNLIB_CLONE {

constexpr int64_t kAhead = 8;  // edges between a prefetch and its use
constexpr int64_t kFar = 32;   // likewise, of few bytes

template <int Bytes>
GNNLIB_INLINE void prefetch(const void* at) {
  for (int b = 0; b < Bytes; b += 64) __builtin_prefetch(static_cast<const char*>(at) + b);
}

// A copy of a row whose length is known when it runs.
GNNLIB_INLINE void copy_row(char* to, const char* from, int64_t bytes) {
  using Line = unsigned char __attribute__((vector_size(64)));
  int64_t b = 0;
  for (; b + 64 <= bytes; b += 64) {
    Line line;
    __builtin_memcpy(&line, from + b, 64);
    __builtin_memcpy(to + b, &line, 64);
  }
  for (; b + 8 <= bytes; b += 8) __builtin_memcpy(to + b, from + b, 8);
  for (; b < bytes; ++b) to[b] = from[b];
}

struct bf16 {
  uint16_t bits;
};
using f16 = _Float16;

template <typename T, int N>
struct VecOf {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <typename T, int N>
using Vec = typename VecOf<T, N>::type;

// The type in which values stored as S are added up, and how many of them fill a 64-byte vector.
template <typename S>
struct AccumulateOf {
  using type = float;
};
template <>
struct AccumulateOf<double> {
  using type = double;
};
template <typename S>
using Accumulate = typename AccumulateOf<S>::type;
template <typename S>
constexpr int kLanes = 64 / sizeof(Accumulate<S>);

template <typename To, int N, typename From>
GNNLIB_INLINE Vec<To, N> bit_cast(From from) {
  Vec<To, N> to;
  static_assert(sizeof(to) == sizeof(from));
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

template <typename S, int N>
GNNLIB_INLINE Vec<Accumulate<S>, N> load(const S* from) {
  Vec<S, N> v;
  __builtin_memcpy(&v, from, sizeof(v));
  return __builtin_convertvector(v, Vec<Accumulate<S>, N>);
}
template <int N>
GNNLIB_INLINE Vec<float, N> load_bf16(const bf16* from) {
  Vec<uint16_t, N> v;
  __builtin_memcpy(&v, from, sizeof(v));
  return bit_cast<float, N>(__builtin_convertvector(v, Vec<uint32_t, N>) << 16);
}

template <typename S, int N>
GNNLIB_INLINE void store(S* to, Vec<Accumulate<S>, N> value) {
  Vec<S, N> v = __builtin_convertvector(value, Vec<S, N>);
  __builtin_memcpy(to, &v, sizeof(v));
}
template <int N>
GNNLIB_INLINE void store_bf16(bf16* to, Vec<float, N> value) {
  Vec<uint32_t, N> bits = bit_cast<uint32_t, N>(value);
  // Round to nearest, ties to even; a NaN would round to infinity, so it is set apart.
  Vec<uint32_t, N> rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  Vec<int32_t, N> nan = value != value;
  rounded = nan ? (bits * 0 + 0x7fc0u) : rounded;
  Vec<uint16_t, N> v = __builtin_convertvector(rounded, Vec<uint16_t, N>);
  __builtin_memcpy(to, &v, sizeof(v));
}

template <typename S, int N>
GNNLIB_INLINE Vec<Accumulate<S>, N> load_vec(const S* from) {
  if constexpr (__is_same(S, bf16)) {
    return load_bf16<N>(from);
  } else {
    return load<S, N>(from);
  }
}
template <typename S, int N>
GNNLIB_INLINE void store_vec(S* to, Vec<Accumulate<S>, N> value) {
  if constexpr (__is_same(S, bf16)) {
    store_bf16<N>(to, value);
  } else {
    store<S, N>(to, value);
  }
}

template <typename S>
GNNLIB_INLINE Accumulate<S> load_one(const S* from) {
  return load_vec<S, 1>(from)[0];
}
template <typename S>
GNNLIB_INLINE void store_one(S* to, Accumulate<S> value) {
  store_vec<S, 1>(to, Vec<Accumulate<S>, 1>{value});
}

// In the precision of its storage, in which what is compared has to tie.
template <typename S, int N>
GNNLIB_INLINE Vec<Accumulate<S>, N> rounded(Vec<Accumulate<S>, N> value) {
  S stored[N];
  store_vec<S, N>(stored, value);
  return load_vec<S, N>(stored);
}

// The sum of the lanes, by halves: a fixed order, whatever the instruction set.
template <typename T, int N>
GNNLIB_INLINE T lane_sum(Vec<T, N> v) {
  if constexpr (N == 1) {
    return v[0];
  } else {
    Vec<T, N / 2> low, high;
    __builtin_memcpy(&low, &v, sizeof(low));
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof(low), sizeof(high));
    return lane_sum<T, N / 2>(low + high);
  }
}

// exp in single precision, about 1 ulp: 2^n · p(r) with x = n·ln 2 + r. NaN stays NaN.
template <int N>
GNNLIB_INLINE Vec<float, N> exp_vec(Vec<float, N> x) {
  using F = Vec<float, N>;
  using I = Vec<int32_t, N>;
  using U = Vec<uint32_t, N>;
  const F zero = {};
  x = x > 88.72284f ? zero + 88.72284f : x;
  const I tiny = x < -87.33654f;
  x = tiny ? zero - 87.33654f : x;
  const F shifter = zero + 12582912.0f;  // 1.5 · 2^23: adding it rounds to an integer
  const F rounded = x * 1.44269504088896341f + shifter;
  const F n = rounded - shifter;
  F r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  F p = zero + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const U exponent = (bit_cast<uint32_t, N>(rounded) - bit_cast<uint32_t, N>(shifter) + 127u) << 23;
  const F result = p * bit_cast<float, N>(exponent);
  return tiny ? zero : result;
}

GNNLIB_INLINE void exp_in_place(float* x, int64_t n) {
  for (int64_t k = 0; k < n; k += 16)
    store_vec<float, 16>(x + k, exp_vec<16>(load_vec<float, 16>(x + k)));
}
GNNLIB_INLINE void exp_in_place(double* x, int64_t n) {
  for (int64_t k = 0; k < n; ++k) x[k] = std::exp(x[k]);
}

// Calls f<S, I>() for the storage type and the index type that the arguments name.
template <typename F>
GNNLIB_INLINE void dispatch(Dtype dtype, bool wide, F&& f) {
  auto index = [&]<typename S>() __attribute__((always_inline)) {
    wide ? f.template operator()<S, int64_t>() : f.template operator()<S, int32_t>();
  };
  switch (dtype) {
    case Dtype::f32:
      return index.template operator()<float>();
    case Dtype::f64:
      return index.template operator()<double>();
    case Dtype::bf16:
      return index.template operator()<bf16>();
    case Dtype::f16:
      return index.template operator()<f16>();
  }
}

// Vectors in a tile of values stored as S, indexed by I: as many as the registers hold where speed
// is asked for, that is with the indices of an Adjacency; four for float rows with the indices that
// torch makes; elsewhere two, which is half of the code.
template <typename S, typename I = int32_t>
constexpr int kTile = sizeof(I) == 4 && (__is_same(S, float) || __is_same(S, bf16)) ? GNNLIB_TILE
                      : __is_same(S, float)                                         ? 4
                                                                                    : 2;

// Covers `dim` features with vectors: calls f<N, V>(start, last) for tiles of V ≤ Most vectors of N
// lanes from `start`, of which the last one begins at `last` (it overlaps its neighbour where dim
// is no multiple of N; both write the same values there).
template <typename S, int Most = kTile<S>, typename F>
GNNLIB_INLINE void for_tiles(int64_t dim, F&& f) {
  constexpr int L = kLanes<S>;
  if (dim >= L) {
    int64_t vectors = (dim + L - 1) / L, start = 0;
    while (vectors > 0) {
      const int64_t end_shift = dim - L;
      auto tile = [&]<int V>() __attribute__((always_inline)) {
        const int64_t last = vectors == V ? end_shift : start + (V - 1) * L;
        f.template operator()<L, V>(start, last);
        vectors -= V;
        start += V * L;
      };
      if constexpr (Most >= 8) {
        if (vectors >= 8) {
          tile.template operator()<8>();
          continue;
        }
      }
      if constexpr (Most >= 4) {
        if (vectors >= 4) {
          tile.template operator()<4>();
          continue;
        }
        if (vectors == 3) {
          tile.template operator()<3>();
          continue;
        }
      }
      if (vectors >= 2) {
        tile.template operator()<2>();
      } else {
        tile.template operator()<1>();
      }
    }
    return;
  }
  auto narrow = [&]<int N>() __attribute__((always_inline)) {
    if (dim == N) {
      f.template operator()<N, 1>(0, 0);
    } else {
      f.template operator()<N, 2>(0, dim - N);
    }
  };
  if (L > 8 && dim >= 8) {
    narrow.template operator()<8>();
  } else if (dim >= 4) {
    narrow.template operator()<4>();
  } else if (dim >= 2) {
    narrow.template operator()<2>();
  } else if (dim == 1) {
    narrow.template operator()<1>();
  }
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
