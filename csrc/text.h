// A `str` argument of an operator.
#pragma once

#include <torch/csrc/stable/library.h>

#include <string>

namespace gnnlib {

// Not a std::string: in torch 2.10 to 2.13 the conversion to that leaks one on each call
// (https://github.com/pytorch/pytorch/issues/191340).
struct Text : std::string {
  using std::string::string;
};

}  // namespace gnnlib

namespace torch::stable::detail {

template <>
struct ToImpl<gnnlib::Text> {
  static gnnlib::Text call(StableIValue value, uint64_t, bool) {
    const auto handle = to<StringHandle>(value);
    size_t length;
    const char* data;
    STABLE_TORCH_ERROR_CODE_CHECK(torch_string_length(handle, &length));
    STABLE_TORCH_ERROR_CODE_CHECK(torch_string_c_str(handle, &data));
    gnnlib::Text text(data, length);
    STABLE_TORCH_ERROR_CODE_CHECK(torch_delete_string(handle));
    return text;
  }
};

}  // namespace torch::stable::detail
