// The kernels' table of contents: every operator's schema, in the order of gnnlib/ops.
// gnnlib/ops/_schema.py holds the same table for a package without kernels.
#include "device.h"

#ifdef GNNLIB_EMU
STABLE_TORCH_LIBRARY(gnnlib_emu, m) {
#else
STABLE_TORCH_LIBRARY(gnnlib, m) {
#endif
  // layout
  m.def("coo_to_csr(Tensor dst, Tensor src, SymInt num_dst) -> (Tensor, Tensor, Tensor)");
  m.def("csr_transpose(Tensor ptr, Tensor col, SymInt num_src) -> (Tensor, Tensor, Tensor)");
  m.def("csr_add_loops(Tensor ptr, Tensor col, Tensor? eid) -> (Tensor, Tensor, Tensor)");
  // spmm
  m.def(
      "spmm(Tensor ptr, Tensor? col, Tensor? eid, Tensor? weight, Tensor x, str reduce,"
      " Tensor? row_scale, Tensor? col_scale) -> Tensor");
  m.def(
      "spmm_arg(Tensor ptr, Tensor? col, Tensor? eid, Tensor? weight, Tensor x, str reduce)"
      " -> (Tensor, Tensor)");
  m.def(
      "spmm_arg_backward(Tensor? col, Tensor? eid, Tensor? weight, Tensor grad, Tensor arg,"
      " SymInt num_src, Tensor? t_ptr, Tensor? t_row, Tensor? t_pos) -> Tensor");
  m.def(
      "spmm_arg_weight(Tensor ptr, Tensor? col, Tensor? eid, Tensor grad, Tensor x, Tensor arg,"
      " SymInt num_edges) -> Tensor");
  // multi
  m.def(
      "spmm_multi(Tensor ptr, Tensor? col, Tensor x, str reduces)"
      " -> (Tensor, Tensor, Tensor, Tensor)");
  m.def(
      "spmm_multi_backward(Tensor t_ptr, Tensor t_row, Tensor x, Tensor even, Tensor spread,"
      " Tensor mean) -> Tensor");
  // propagate
  m.def(
      "propagate(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x, SymInt steps,"
      " float alpha, Tensor? row_scale, Tensor? col_scale) -> Tensor");
  m.def(
      "propagate_powers(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x,"
      " SymInt steps, Tensor? row_scale, Tensor? col_scale) -> Tensor");
  m.def(
      "propagate_horner(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x,"
      " Tensor? row_scale, Tensor? col_scale) -> Tensor");
  // spmm_add
  m.def(
      "spmm_add(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? y, Tensor? edge, float "
      "alpha,"
      " bool relu, str reduce) -> Tensor");
  m.def(
      "spmm_add_arg(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor edge, float alpha,"
      " str reduce) -> (Tensor, Tensor)");
  m.def(
      "spmm_add_gate(Tensor ptr, Tensor col, Tensor? eid, Tensor? x, Tensor? y, Tensor? edge, "
      "float alpha,"
      " Tensor grad, bool grad_is_own) -> Tensor");
  m.def(
      "spmm_add_edge(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? y, Tensor edge, float "
      "alpha,"
      " Tensor grad) -> Tensor");
  // sddmm
  m.def("sddmm(Tensor ptr, Tensor col, Tensor? eid, Tensor? a, Tensor b, str op) -> Tensor");
  // segment
  m.def("segment_expand(Tensor ptr, Tensor? eid, Tensor x, SymInt num_edges) -> Tensor");
  m.def("segment_softmax(Tensor ptr, Tensor? eid, Tensor scores) -> Tensor");
  m.def("segment_softmax_backward(Tensor ptr, Tensor? eid, Tensor out, Tensor grad) -> Tensor");
  // dropout
  m.def("edge_dropout(Tensor x, Tensor? eid, float p, Tensor seed) -> Tensor");
  // attention
  m.def(
      "attention_gat(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? score_src,"
      " Tensor? score_dst, Tensor? score_edge, float negative_slope, float dropout, Tensor? seed)"
      " -> (Tensor, Tensor)");
  m.def(
      "attention_gat_backward(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
      " Tensor t_pos, Tensor x, Tensor? score_src, Tensor? score_dst, Tensor? score_edge,"
      " Tensor out, Tensor lse, Tensor grad, float negative_slope, float dropout, Tensor? seed)"
      " -> (Tensor, Tensor, Tensor, Tensor)");
  m.def(
      "attention_gatv2(Tensor ptr, Tensor col, Tensor? eid, Tensor x_src, Tensor x_dst,"
      " Tensor att, float negative_slope, float dropout, Tensor? seed) -> (Tensor, Tensor)");
  m.def(
      "attention_gatv2_backward(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
      " Tensor t_pos, Tensor x_src, Tensor x_dst, Tensor att, Tensor out, Tensor lse,"
      " Tensor grad, float negative_slope, float dropout, Tensor? seed)"
      " -> (Tensor, Tensor, Tensor)");
  m.def(
      "attention_dot(Tensor ptr, Tensor col, Tensor? eid, Tensor query, Tensor key,"
      " Tensor value, Tensor? score_edge, float scale, float dropout, Tensor? seed)"
      " -> (Tensor, Tensor)");
  m.def(
      "attention_dot_backward(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
      " Tensor t_pos, Tensor query, Tensor key, Tensor value, Tensor? score_edge, Tensor out,"
      " Tensor lse, Tensor grad, float scale, float dropout, Tensor? seed)"
      " -> (Tensor, Tensor, Tensor, Tensor)");
  // scatter
  m.def("gather_rows(Tensor x, Tensor index) -> Tensor");
  m.def("scatter(Tensor x, Tensor index, SymInt num_rows, str reduce) -> Tensor");
  m.def("scatter_arg(Tensor x, Tensor index, SymInt num_rows, str reduce) -> (Tensor, Tensor)");
  m.def("scatter_add_(Tensor(a!) out, Tensor x, Tensor index) -> ()");
}

#if !defined(GNNLIB_WITH_CUDA) && !defined(GNNLIB_EMU)
static void without_cuda(StableIValue*, uint64_t, uint64_t) {
  throw std::runtime_error(
      "this build of gnnlib has no CUDA kernels, and got a CUDA tensor: move it to the CPU with"
      " .cpu(), or rebuild on a machine with nvcc: GNNLIB_CUDA=1 pip install --no-build-isolation"
      " --force-reinstall --no-deps gnnlib");
}

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CUDA, m) {
  for (const char* name : {"coo_to_csr",
                           "csr_transpose",
                           "csr_add_loops",
                           "spmm",
                           "spmm_arg",
                           "spmm_arg_backward",
                           "spmm_arg_weight",
                           "spmm_multi",
                           "spmm_multi_backward",
                           "propagate",
                           "propagate_powers",
                           "propagate_horner",
                           "spmm_add",
                           "spmm_add_arg",
                           "spmm_add_gate",
                           "spmm_add_edge",
                           "sddmm",
                           "segment_expand",
                           "segment_softmax",
                           "segment_softmax_backward",
                           "edge_dropout",
                           "attention_gat",
                           "attention_gat_backward",
                           "attention_gatv2",
                           "attention_gatv2_backward",
                           "attention_dot",
                           "attention_dot_backward",
                           "gather_rows",
                           "scatter",
                           "scatter_arg",
                           "scatter_add_"}) {
    m.impl(name, without_cuda);
  }
}
#endif

extern "C" __attribute__((visibility("default"))) int gnnlib_has_cuda() {
#ifdef GNNLIB_WITH_CUDA
  return 1;
#else
  return 0;
#endif
}
