// Fused attention on the CPU: the passes, what lies between them, and the threads.
#include "device.h"

namespace gnnlib::cpu {

static int64_t work_of(const BoundCsr& csr, const AttentionArgs& args) {
  return (csr.num_edges + csr.num_rows) * args.heads * (args.dim + 8);
}

// The arguments as a pass over the transpose reads them.
static AttentionArgs seen_from(const Transpose& transpose, AttentionArgs args) {
  args.csr = {transpose.csr.ptr.data_ptr(), pointer(transpose.csr.col), args.csr.eid,
              args.csr.wide};
  args.pos = transpose.pos.data_ptr();
  return args;
}

void Cpu::attention(const BoundCsr& csr, const AttentionArgs& args) const {
  parallel_rows(csr, work_of(csr, args),
                [&](int64_t first, int64_t last) { kernels().attention(args, first, last); });
}

void Cpu::attention_gat_backward(const BoundCsr& csr, const Transpose& transpose,
                                 const AttentionArgs& given) const {
  AttentionArgs args = given;
  const Tensor packed = fresh(csr.ptr, {csr.num_rows, 3, args.heads}, accumulate_type(args.dtype));
  args.packed = packed.data_ptr();
  parallel_even(csr.num_rows, csr.num_rows * args.heads * args.dim,
                [&](int64_t first, int64_t last) { kernels().attention_pack(args, first, last); });
  const AttentionArgs there = seen_from(transpose, args);
  parallel_rows(transpose.csr, work_of(csr, args), [&](int64_t first, int64_t last) {
    kernels().attention_gat_sources(there, first, last);
  });
}

template <typename A>
static void sum_parts(const Tensor& parts, void* out) {
  const A* from = static_cast<const A*>(parts.data_ptr());
  A* to = static_cast<A*>(out);
  const int64_t size = parts.numel() / parts.size(0);
  for (int64_t f = 0; f < size; ++f) to[f] = 0;
  for (int64_t p = 0; p < parts.size(0); ++p) {
    for (int64_t f = 0; f < size; ++f) to[f] += from[p * size + f];
  }
}

void Cpu::attention_gatv2_backward(const BoundCsr& csr, const Transpose& transpose,
                                   const AttentionArgs& given) const {
  AttentionArgs args = given;
  const ScalarType wide = accumulate_type(args.dtype);
  const int64_t work = work_of(csr, args);
  // A number that the number of threads has no part in: what is summed over the rows is summed in
  // the parts, and then over them in order.
  const int64_t parts = work < kSerialWork ? 1 : 64;
  const Tensor grad_parts = fresh(csr.ptr, {parts, args.heads, args.dim}, wide);
  const Tensor edges = fresh(csr.ptr, {csr.num_edges, 2, args.heads}, wide);
  args.edges = edges.data_ptr();
  char* to = static_cast<char*>(grad_parts.data_ptr());
  const int64_t bytes = args.heads * args.dim * int64_t(grad_parts.element_size());
  const auto bounds = split_rows(csr, parts);
  parallel_parts(parts, work, [&](int64_t part, int64_t) {
    AttentionArgs mine = args;
    mine.grad_att = to + part * bytes;
    kernels().attention_destinations(mine, bounds[part], bounds[part + 1]);
  });
  args.dtype == Dtype::f64 ? sum_parts<double>(grad_parts, given.grad_att)
                           : sum_parts<float>(grad_parts, given.grad_att);
  const AttentionArgs there = seen_from(transpose, args);
  parallel_rows(transpose.csr, work, [&](int64_t first, int64_t last) {
    kernels().attention_sources(there, first, last);
  });
}

void Cpu::attention_dot_backward(const BoundCsr& csr, const Transpose& transpose,
                                 const AttentionArgs& given) const {
  AttentionArgs args = given;
  const int64_t work = work_of(csr, args);
  const Tensor edges = fresh(csr.ptr, {csr.num_edges, 2, args.heads}, accumulate_type(args.dtype));
  args.edges = edges.data_ptr();
  parallel_rows(csr, work, [&](int64_t first, int64_t last) {
    kernels().attention_destinations(args, first, last);
  });
  const AttentionArgs there = seen_from(transpose, args);
  parallel_rows(transpose.csr, work, [&](int64_t first, int64_t last) {
    kernels().attention_sources(there, first, last);
  });
}

}  // namespace gnnlib::cpu
