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

// How the lanes of a warp share a row of F values: groups of `lanes` neighbours, each lane with
// packs of `pack` values.
struct Shape {
  int pack, lanes;
};

inline Shape lanes_for(Shape shape, int64_t values) {
  int lanes = 1;
  while (lanes < kWarp && lanes * shape.pack < values) lanes *= 2;
  return {shape.pack, lanes};
}

// The widest packs that divide the rows, whose starts are multiples of 16 bytes, and the fewest
// lanes that cover a row with one pack each.
inline Shape shape_of(int64_t values, int64_t bytes_each) {
  int pack = int(16 / bytes_each);
  while (pack > 1 && values % pack) pack /= 2;
  return lanes_for({pack, 0}, values);
}

// Calls f<Pack, Lanes>() for the shape.
template <int Widest, typename F>
void with_shape(Shape shape, const F& f) {
  auto lanes = [&]<int Pack>() {
    switch (shape.lanes) {
      case 1:
      case 2:
      case 4:
        return f.template operator()<Pack, 4>();
      case 8:
        return f.template operator()<Pack, 8>();
      case 16:
        return f.template operator()<Pack, 16>();
      default:
        return f.template operator()<Pack, 32>();
    }
  };
  if constexpr (Widest >= 8) {
    if (shape.pack >= 8) return lanes.template operator()<8>();
  }
  if constexpr (Widest >= 4) {
    if (shape.pack >= 4) return lanes.template operator()<4>();
  }
  if constexpr (Widest >= 2) {
    if (shape.pack >= 2) return lanes.template operator()<2>();
  }
  lanes.template operator()<1>();
}

}  // namespace gnnlib::cuda
