// What the bindings ask of the CPU: which kernel, on which rows, by how many threads.
#include "device.h"

#include <cstring>

namespace gnnlib::cpu {

// Element-edges of a call on `values` values a row.
static int64_t work_of(const BoundCsr& csr, int64_t values) {
  return (csr.num_edges + csr.num_rows) * values;
}

void Cpu::multi(const BoundCsr& csr, const MultiArgs& args) const {
  parallel_rows(csr, work_of(csr, args.dim),
                [&](int64_t first, int64_t last) { kernels().multi(args, first, last); });
}

void Cpu::multi_backward(const BoundCsr& csr, const MultiArgs& args) const {
  parallel_rows(csr, 2 * work_of(csr, args.dim),
                [&](int64_t first, int64_t last) { kernels().multi_backward(args, first, last); });
}

void Cpu::spmm_add(const BoundCsr& csr, const SpmmAddArgs& args) const {
  parallel_rows(csr, work_of(csr, args.dim),
                [&](int64_t first, int64_t last) { kernels().spmm_add(args, first, last); });
}

void Cpu::spmm_add_gate(const BoundCsr& csr, const SpmmAddArgs& args) const {
  parallel_rows(csr, work_of(csr, args.dim),
                [&](int64_t first, int64_t last) { kernels().spmm_add_gate(args, first, last); });
}

void Cpu::spmm_add_edge(const BoundCsr& csr, const SpmmAddArgs& args) const {
  parallel_rows(csr, work_of(csr, args.dim),
                [&](int64_t first, int64_t last) { kernels().spmm_add_edge(args, first, last); });
}

void Cpu::sddmm(const BoundCsr& csr, const SddmmArgs& args) const {
  parallel_rows(csr, work_of(csr, args.heads * args.dim),
                [&](int64_t first, int64_t last) { kernels().sddmm(args, first, last); });
}

void Cpu::softmax(const BoundCsr& csr, const SoftmaxArgs& args) const {
  parallel_rows(csr, csr.num_edges * args.heads * 8,
                [&](int64_t first, int64_t last) { kernels().softmax(args, first, last); });
}

void Cpu::softmax_backward(const BoundCsr& csr, const SoftmaxArgs& args) const {
  parallel_rows(csr, csr.num_edges * args.heads * 4, [&](int64_t first, int64_t last) {
    kernels().softmax_backward(args, first, last);
  });
}

void Cpu::expand(const BoundCsr& csr, const RowsArgs& args) const {
  parallel_rows(csr, csr.num_edges * args.bytes / 4, [&](int64_t first, int64_t last) {
    kernels().expand(csr.view(), args, first, last);
  });
}

void Cpu::gather(const Tensor&, int64_t num_rows, const RowsArgs& args) const {
  parallel_even(num_rows, num_rows * args.bytes / 4,
                [&](int64_t first, int64_t last) { kernels().gather(args, first, last); });
}

// Rows of at most so many values are not worth the division: each thread reads all of the index,
// and guesses wrongly which rows are its own.
constexpr int64_t kNarrow = 4;

void Cpu::scatter_add(const Tensor& out, const Tensor&, const ScatterAddArgs& args) const {
  parallel_even(out.size(0), args.dim <= kNarrow ? 0 : args.num_edges * args.dim,
                [&](int64_t first, int64_t last) { kernels().scatter_add(args, first, last); });
}

template <typename I>
static void rename_entries(const Tensor& entries, const Tensor& order) {
  I* at = static_cast<I*>(entries.data_ptr());
  const I* to = static_cast<const I*>(order.data_ptr());
  parallel_even(entries.numel(), entries.numel(), [&](int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) at[n] = at[n] < 0 ? at[n] : to[at[n]];
  });
}

void Cpu::rename(const Tensor& entries, const Tensor& order) const {
  entries.scalar_type() == ScalarType::Long ? rename_entries<int64_t>(entries, order)
                                            : rename_entries<int32_t>(entries, order);
}

void Cpu::spread(const Tensor&, const void* from, void* to, int64_t rows, int64_t bytes,
                 int64_t stride) const {
  parallel_even(rows, rows * bytes / 4, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      std::memcpy(static_cast<char*>(to) + i * stride, static_cast<const char*>(from) + i * bytes,
                  bytes);
    }
  });
}

void Cpu::set_seed(const Tensor& seed, uint64_t& value, const void*&) const {
  value = uint64_t(*static_cast<const int64_t*>(seed.data_ptr()));
}

void Cpu::dropout(const Tensor& x, const DropoutArgs& args) const {
  parallel_even(x.size(0), x.numel(),
                [&](int64_t first, int64_t last) { kernels().dropout(args, first, last); });
}

const Device& cpu_device() {
  static const Cpu device;
  return device;
}

}  // namespace gnnlib::cpu

#ifndef GNNLIB_WITH_CUDA
const gnnlib::Device& gnnlib::device_of(const Tensor&) { return cpu::cpu_device(); }
#endif
