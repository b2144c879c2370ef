// Storage types and the types they are added up in, and rows of them in packs of up to 16 bytes.
#pragma once

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include "../arguments.h"
#include "device.h"

namespace gnnlib::cuda {

using bf16 = c10::BFloat16;
using f16 = c10::Half;

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

template <typename S, int N>
struct alignas(sizeof(S) * N) Pack {
  S value[N];
};

// N neighbours of a row, in the type they are added up in. `from` is a multiple of their size.
template <typename S, int N>
struct Values {
  using A = Accumulate<S>;
  A value[N];

  GNNLIB_DEVICE void fill(A with) {
    for (int n = 0; n < N; ++n) value[n] = with;
  }
  GNNLIB_DEVICE void load(const S* from) {
    const Pack<S, N> pack = *reinterpret_cast<const Pack<S, N>*>(from);
    for (int n = 0; n < N; ++n) value[n] = static_cast<A>(pack.value[n]);
  }
  GNNLIB_DEVICE void store(S* to) const {
    Pack<S, N> pack;
    for (int n = 0; n < N; ++n) pack.value[n] = static_cast<S>(value[n]);
    *reinterpret_cast<Pack<S, N>*>(to) = pack;
  }
};

// Calls f<S, I>() for the storage type and the index type that the arguments name.
template <typename F>
void dispatch(Dtype dtype, bool wide, const F& f) {
  auto index = [&]<typename S>() {
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

// Calls f<I>() for the index type.
template <typename F>
void with_index(bool wide, const F& f) {
  wide ? f.template operator()<int64_t>() : f.template operator()<int32_t>();
}

// Calls f<Unit>() for the widest unit that rows of so many bytes are made of.
struct alignas(16) Sixteen {
  uint64_t half[2];
};
template <typename F>
void with_unit(int64_t bytes, const F& f) {
  if (bytes % 16 == 0) return f.template operator()<Sixteen>();
  if (bytes % 8 == 0) return f.template operator()<uint64_t>();
  if (bytes % 4 == 0) return f.template operator()<uint32_t>();
  if (bytes % 2 == 0) return f.template operator()<uint16_t>();
  f.template operator()<uint8_t>();
}

// Groups of 2^bits neighbours among the lanes of a warp. How many they are is no part of a kernel's
// type: it would be compiled six times over.
struct Groups {
  int bits;

  GNNLIB_DEVICE int lanes() const { return 1 << bits; }
  GNNLIB_DEVICE int lane() const { return thread() & (lanes() - 1); }
  GNNLIB_DEVICE int64_t index() const { return block() * (threads() >> bits) + (thread() >> bits); }
  // The sum over the lanes of the group, in all of them.
  template <typename T>
  GNNLIB_DEVICE T sum(T value) const {
    for (int step = lanes() / 2; step > 0; step /= 2)
      value += shuffle(value, gnnlib::cuda::lane() ^ step, bits);
    return value;
  }
};

// How a group has a row of F values: each lane packs of `pack` of them.
struct Shape {
  int pack;
  Groups groups;
};

// The fewest lanes that cover a row with one pack each.
inline Shape shape_of(int pack, int64_t values) {
  int bits = 0;
  while ((1 << bits) < kWarp && (int64_t(pack) << bits) < values) ++bits;
  return {pack, {bits}};
}

// The widest pack that divides rows of so many values, whose starts are multiples of 16 bytes.
inline int pack_of(int64_t values, int64_t bytes_each) {
  int pack = int(16 / bytes_each);
  while (pack > 1 && values % pack) pack /= 2;
  return pack;
}

// log2 of how many lanes have a head of so many values; −1 where that is no power of two, or more
// than a warp has.
inline int head_bits(int pack, int64_t values) {
  for (int bits = 0; (1 << bits) <= kWarp; ++bits) {
    if ((int64_t(pack) << bits) == values) return bits;
  }
  return -1;
}

// Calls f<Pack>() for packs of values of the type S.
template <typename S, typename F>
void with_pack(int pack, const F& f) {
  if constexpr (sizeof(S) <= 2) {
    if (pack == 8) return f.template operator()<8>();
  }
  if constexpr (sizeof(S) <= 4) {
    if (pack == 4) return f.template operator()<4>();
  }
  pack == 2 ? f.template operator()<2>() : f.template operator()<1>();
}

}  // namespace gnnlib::cuda
