// What a device does for the bindings, which have checked the arguments and made the results.
#pragma once

#include <algorithm>
#include <tuple>
#include <type_traits>

#include "bind.h"
#include "text.h"

namespace gnnlib {

// The edges sorted by `key`, stably: ptr [num_rows + 1], the `value` of each (empty without
// values) and its position in the input.
struct Sorted {
  Tensor ptr, value, position;
};

// The transpose of a CSR: of each source its edges, their destinations, and their positions in the
// CSR.
struct Transpose {
  BoundCsr csr;
  Tensor pos;

  // The arguments of a pass over it.
  Csr view(const Csr& forward) const {
    return {csr.ptr.data_ptr(), pointer(csr.col), pos.data_ptr(), forward.wide};
  }
};

class Device {
 public:
  virtual ~Device() = default;

  virtual Tensor fresh(const Tensor& like, const std::vector<int64_t>& sizes,
                       ScalarType type) const = 0;

  // layout. `op` and `key_name` are for the error where a key is not in [0, num_rows), which a GPU
  // knows only if it `may_wait`.
  virtual Sorted sort(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
                      int64_t num_rows, bool may_wait) const = 0;
  virtual Tensor row_of_each_edge(const BoundCsr& csr) const = 0;
  virtual std::tuple<Tensor, Tensor, Tensor> add_loops(const BoundCsr& csr) const = 0;

  // spmm. `prepare`: whatever the device wants to know or have beforehand, once for all calls with
  // these weights; it may put them in another order, and `weight` is then that tensor.
  virtual void prepare(const BoundCsr& csr, OptionalTensor& weight, const Tensor& x,
                       SpmmArgs& args) const = 0;
  virtual void spmm(const BoundCsr& csr, const SpmmArgs& args) const = 0;
  virtual void arg_backward(const ArgBackwardArgs& args, int64_t num_edges, const Tensor& out,
                            const Transpose* transpose) const = 0;
  virtual void arg_weight(const BoundCsr& csr, const ArgWeightArgs& args) const = 0;
  virtual void multi(const BoundCsr& csr, const MultiArgs& args) const = 0;
  virtual void multi_backward(const BoundCsr& csr, const MultiArgs& args) const = 0;
  virtual void spmm_add(const BoundCsr& csr, const SpmmAddArgs& args) const = 0;
  virtual void spmm_add_gate(const BoundCsr& csr, const SpmmAddArgs& args) const = 0;
  virtual void spmm_add_edge(const BoundCsr& csr, const SpmmAddArgs& args) const = 0;

  virtual void sddmm(const BoundCsr& csr, const SddmmArgs& args) const = 0;

  virtual void softmax(const BoundCsr& csr, const SoftmaxArgs& args) const = 0;
  virtual void softmax_backward(const BoundCsr& csr, const SoftmaxArgs& args) const = 0;
  virtual void expand(const BoundCsr& csr, const RowsArgs& args) const = 0;

  // scatter. `like` is any tensor of the device.
  virtual void gather(const Tensor& like, int64_t num_rows, const RowsArgs& args) const = 0;
  // What scatter gives, to the bit, where there is a quicker way than to sort the index first.
  virtual std::optional<Tensor> scatter(const Tensor& x, const Tensor& index, int64_t num_rows,
                                        Text reduce) const = 0;
  virtual void scatter_add(const Tensor& out, const Tensor& index,
                           const ScatterAddArgs& args) const = 0;
  // Entries that are not negative become order[entry].
  virtual void rename(const Tensor& entries, const Tensor& order) const = 0;
  // Rows of `bytes` bytes, `stride` apart in `to`.
  virtual void spread(const Tensor& like, const void* from, void* to, int64_t rows, int64_t bytes,
                      int64_t stride) const = 0;

  // dropout. The seed, one int64, as the arguments take it.
  virtual void set_seed(const Tensor& seed, uint64_t& value, const void*& address) const = 0;
  virtual void dropout(const Tensor& x, const DropoutArgs& args) const = 0;

  // attention
  virtual void attention(const BoundCsr& csr, const AttentionArgs& args) const = 0;
  virtual void attention_gat_backward(const BoundCsr& csr, const Transpose& transpose,
                                      const AttentionArgs& args) const = 0;
  virtual void attention_gatv2_backward(const BoundCsr& csr, const Transpose& transpose,
                                        const AttentionArgs& args) const = 0;
  virtual void attention_dot_backward(const BoundCsr& csr, const Transpose& transpose,
                                      const AttentionArgs& args) const = 0;
};

const Device& device_of(const Tensor& t);

inline Tensor fresh(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType type) {
  return device_of(like).fresh(like, sizes, type);
}
inline Tensor fresh(const Tensor& like, const std::vector<int64_t>& sizes) {
  return fresh(like, sizes, like.scalar_type());
}

// Not negative, and counted by the keys' type.
void check_num_rows(const char* op, const char* name, int64_t num_rows, const Tensor& key);

// sort, with its checks.
Sorted sort_edges(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
                  const char* rows_name, int64_t num_rows, bool may_wait);

// From its schema.
std::string argument_name(const std::string& op, int position);

template <size_t N>
struct Literal {
  char text[N];
  constexpr Literal(const char (&from)[N]) { std::copy_n(from, N, text); }
};

// An operator that has looked at the devices of its tensors: a kernel would follow an address of
// another device to nowhere.
template <Literal op, auto function>
struct OnOneDevice;
template <Literal op, typename R, typename... Args, R (*function)(Args...)>
struct OnOneDevice<op, function> {
  static R call(Args... args) {
    const Tensor* first = nullptr;
    int of_first = 0, position = 0;
    auto look = [&](const auto& arg) {
      const Tensor* t = nullptr;
      if constexpr (std::is_same_v<decltype(arg), const Tensor&>) t = &arg;
      if constexpr (std::is_same_v<decltype(arg), const OptionalTensor&>) t = arg ? &*arg : nullptr;
      if (t && !first) {
        first = t;
        of_first = position;
      }
      if (t && !same_device(*t, *first)) {
        fail(op.text, ": all tensors must be on one device: ", argument_name(op.text, of_first),
             " is on ", device_name(*first), ", ", argument_name(op.text, position), " on ",
             device_name(*t));
      }
      ++position;
    };
    (look(args), ...);
    return function(std::forward<Args>(args)...);
  }
};

// The entries of an index of rows. What lies on a GPU is checked once a tensor instead, by
// gnnlib/ops/_door.py: here it would have to be waited for.
void check_rows(const char* op, const Tensor& index, int64_t rows);

// The rows x[index], of a dense x and ids that have been looked at.
Tensor gathered(const Tensor& x, const Tensor& index);

}  // namespace gnnlib

// GNNLIB_REGISTER { GNNLIB_OP(spmm); } registers operators for every device that the library
// serves: the emulation serves the CPU, under a name of its own. Tensors of several devices arrive
// where those of a GPU do.
#define GNNLIB_OP(name)                                                             \
  m.impl(#name, gpu ? TORCH_BOX((&gnnlib::OnOneDevice<#name, &gnnlib::name>::call)) \
                    : TORCH_BOX(&gnnlib::name))
#if defined(GNNLIB_EMU)
#define GNNLIB_REGISTER             \
  static constexpr bool gpu = true; \
  STABLE_TORCH_LIBRARY_IMPL(gnnlib_emu, CPU, m)
#elif defined(GNNLIB_WITH_CUDA)
#define GNNLIB_REGISTER                                                                \
  static void gnnlib_register(torch::stable::detail::StableLibrary& m, bool gpu);      \
  STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, library) { gnnlib_register(library, false); } \
  STABLE_TORCH_LIBRARY_IMPL(gnnlib, CUDA, library) { gnnlib_register(library, true); } \
  static void gnnlib_register(torch::stable::detail::StableLibrary& m, bool gpu)
#else
#define GNNLIB_REGISTER              \
  static constexpr bool gpu = false; \
  STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, m)
#endif
