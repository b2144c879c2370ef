// What every binding asks of its arguments, and says in one sentence when it is not so.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace gnnlib {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;

// std::invalid_argument arrives in Python as a ValueError.
template <typename... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw std::invalid_argument(text.str());
}

inline const char* name_of(ScalarType type) {
  switch (type) {
    case ScalarType::Float:
      return "float32";
    case ScalarType::Double:
      return "float64";
    case ScalarType::BFloat16:
      return "bfloat16";
    case ScalarType::Half:
      return "float16";
    case ScalarType::Bool:
      return "bool";
    case ScalarType::Byte:
      return "uint8";
    case ScalarType::Char:
      return "int8";
    case ScalarType::Short:
      return "int16";
    case ScalarType::Int:
      return "int32";
    case ScalarType::Long:
      return "int64";
    default:
      return "another dtype";
  }
}

inline std::string shape_of(const Tensor& t) {
  std::ostringstream text;
  text << '(';
  for (int64_t d = 0; d < t.dim(); ++d) text << (d ? ", " : "") << t.size(d);
  text << ')';
  return text.str();
}

// "must have shape (N, H)", where a size of −1 may be anything.
inline void check_shape(const char* op, const char* name, const Tensor& t,
                        const std::vector<int64_t>& sizes) {
  bool same = t.dim() == int64_t(sizes.size());
  for (int64_t d = 0; same && d < t.dim(); ++d) same = sizes[d] < 0 || t.size(d) == sizes[d];
  if (same) return;
  std::ostringstream want;
  for (size_t d = 0; d < sizes.size(); ++d) {
    want << (d ? ", " : "");
    sizes[d] < 0 ? want << '*' : want << sizes[d];
  }
  fail(op, ": ", name, " must have shape (", want.str(), "), got ", shape_of(t));
}

inline bool is_floating(ScalarType type) {
  return type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::BFloat16 ||
         type == ScalarType::Half;
}

inline void check_floating(const char* op, const char* name, const Tensor& t) {
  if (!is_floating(t.scalar_type())) {
    fail(op, ": ", name, " must be float32, float64, bfloat16 or float16, got ",
         name_of(t.scalar_type()));
  }
}

inline void check_same_dtype(const char* op, const char* name, const Tensor& t, const char* other,
                             ScalarType type) {
  if (t.scalar_type() == type) return;
  fail(op, ": ", name, " and ", other, " must have one dtype, got ", name_of(t.scalar_type()),
       " and ", name_of(type));
}

inline void check_index(const char* op, const char* name, const Tensor& t) {
  const auto type = t.scalar_type();
  if (type != ScalarType::Int && type != ScalarType::Long) {
    fail(op, ": ", name, " must be int32 or int64, got ", name_of(type));
  }
  if (t.dim() != 1) fail(op, ": ", name, " must have one dimension, got shape ", shape_of(t));
}

// An int32 index counts to 2^31 − 1.
inline void check_wide(const char* op, const char* name, int64_t size, bool wide) {
  if (!wide && size > std::numeric_limits<int32_t>::max()) {
    fail(op, ": ", name, "=", size, " needs int64 indices, got int32");
  }
}

inline ScalarType accumulate_type(ScalarType type) {
  return type == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline bool same_device(const Tensor& a, const Tensor& b) {
  if (a.is_cpu() || b.is_cpu()) return a.is_cpu() == b.is_cpu();
  return a.get_device_index() == b.get_device_index();
}

inline std::string device_name(const Tensor& t) {
  return t.is_cpu() ? "cpu" : "cuda:" + std::to_string(t.get_device_index());
}

// Of the dropout.
inline void check_seed(const char* op, const Tensor& seed, const Tensor& beside) {
  if (seed.scalar_type() != ScalarType::Long || seed.numel() != 1 || !same_device(seed, beside)) {
    fail(op, ": seed must be one int64 on the device of the values");
  }
}

// How a row's values are divided: heads times dim.
struct RowShape {
  int64_t heads = 1, dim = 1;
};

// One head of all the values.
inline RowShape flat_rows(const Tensor& x) {
  RowShape shape;
  for (int64_t d = 1; d < x.dim(); ++d) shape.dim *= x.size(d);
  return shape;
}

inline std::vector<int64_t> with_rows(const Tensor& x, int64_t rows) {
  std::vector<int64_t> sizes{rows};
  for (int64_t d = 1; d < x.dim(); ++d) sizes.push_back(x.size(d));
  return sizes;
}

}  // namespace gnnlib
