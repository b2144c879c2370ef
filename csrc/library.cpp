// The kernels' table of contents: every operator's schema, in the order of gnnlib/ops.
// gnnlib/ops/_schema.py holds the same table for a package without kernels.
#include <algorithm>

#include "device.h"

namespace gnnlib {

static constexpr const char* kSchemas[] = {
    // layout
    "coo_to_csr(Tensor dst, Tensor src, SymInt num_dst) -> (Tensor, Tensor, Tensor)",
    "csr_transpose(Tensor ptr, Tensor col, SymInt num_src) -> (Tensor, Tensor, Tensor)",
    "csr_add_loops(Tensor ptr, Tensor col, Tensor? eid) -> (Tensor, Tensor, Tensor)",
    // spmm
    "spmm(Tensor ptr, Tensor? col, Tensor? eid, Tensor? weight, Tensor x, str reduce,"
    " Tensor? row_scale, Tensor? col_scale) -> Tensor",
    "spmm_arg(Tensor ptr, Tensor? col, Tensor? eid, Tensor? weight, Tensor x, str reduce)"
    " -> (Tensor, Tensor)",
    "spmm_arg_backward(Tensor? col, Tensor? eid, Tensor? weight, Tensor grad, Tensor arg,"
    " SymInt num_src, Tensor? t_ptr, Tensor? t_row, Tensor? t_pos) -> Tensor",
    "spmm_arg_weight(Tensor ptr, Tensor? col, Tensor? eid, Tensor grad, Tensor x, Tensor arg,"
    " SymInt num_edges) -> Tensor",
    // multi
    "spmm_multi(Tensor ptr, Tensor? col, Tensor x, str reduces)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    "spmm_multi_backward(Tensor t_ptr, Tensor t_row, Tensor x, Tensor even, Tensor spread,"
    " Tensor mean) -> Tensor",
    // propagate
    "propagate(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x, SymInt steps,"
    " float alpha, Tensor? row_scale, Tensor? col_scale) -> Tensor",
    "propagate_powers(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x,"
    " SymInt steps, Tensor? row_scale, Tensor? col_scale) -> Tensor",
    "propagate_horner(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x,"
    " Tensor? row_scale, Tensor? col_scale) -> Tensor",
    // spmm_add
    "spmm_add(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? y, Tensor? edge, float "
    "alpha,"
    " bool relu, str reduce) -> Tensor",
    "spmm_add_arg(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor edge, float alpha,"
    " str reduce) -> (Tensor, Tensor)",
    "spmm_add_gate(Tensor ptr, Tensor col, Tensor? eid, Tensor? x, Tensor? y, Tensor? edge, "
    "float alpha,"
    " Tensor grad, bool grad_is_own) -> Tensor",
    "spmm_add_edge(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? y, Tensor edge, float "
    "alpha,"
    " Tensor grad) -> Tensor",
    // sddmm
    "sddmm(Tensor ptr, Tensor col, Tensor? eid, Tensor? a, Tensor b, str op) -> Tensor",
    // segment
    "segment_expand(Tensor ptr, Tensor? eid, Tensor x, SymInt num_edges) -> Tensor",
    "segment_softmax(Tensor ptr, Tensor? eid, Tensor scores) -> Tensor",
    "segment_softmax_backward(Tensor ptr, Tensor? eid, Tensor out, Tensor grad) -> Tensor",
    // dropout
    "edge_dropout(Tensor x, Tensor? eid, float p, Tensor seed) -> Tensor",
    // attention
    "attention_gat(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? score_src,"
    " Tensor? score_dst, Tensor? score_edge, float negative_slope, float dropout, Tensor? seed)"
    " -> (Tensor, Tensor)",
    "attention_gat_backward(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
    " Tensor t_pos, Tensor x, Tensor? score_src, Tensor? score_dst, Tensor? score_edge,"
    " Tensor out, Tensor lse, Tensor grad, float negative_slope, float dropout, Tensor? seed)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    "attention_gatv2(Tensor ptr, Tensor col, Tensor? eid, Tensor x_src, Tensor x_dst,"
    " Tensor att, float negative_slope, float dropout, Tensor? seed) -> (Tensor, Tensor)",
    "attention_gatv2_backward(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
    " Tensor t_pos, Tensor x_src, Tensor x_dst, Tensor att, Tensor out, Tensor lse,"
    " Tensor grad, float negative_slope, float dropout, Tensor? seed)"
    " -> (Tensor, Tensor, Tensor)",
    "attention_dot(Tensor ptr, Tensor col, Tensor? eid, Tensor query, Tensor key,"
    " Tensor value, Tensor? score_edge, float scale, float dropout, Tensor? seed)"
    " -> (Tensor, Tensor)",
    "attention_dot_backward(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
    " Tensor t_pos, Tensor query, Tensor key, Tensor value, Tensor? score_edge, Tensor out,"
    " Tensor lse, Tensor grad, float scale, float dropout, Tensor? seed)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    // scatter
    "gather_rows(Tensor x, Tensor index) -> Tensor",
    "scatter(Tensor x, Tensor index, SymInt num_rows, str reduce) -> Tensor",
    "scatter_arg(Tensor x, Tensor index, SymInt num_rows, str reduce) -> (Tensor, Tensor)",
    "scatter_add_(Tensor(a!) out, Tensor x, Tensor index) -> ()",
};

static std::string name_in(const std::string& schema) { return schema.substr(0, schema.find('(')); }

std::string argument_name(const std::string& op, int position) {
  for (const std::string schema : kSchemas) {
    if (name_in(schema) != op) continue;
    std::string list = schema.substr(op.size() + 1);
    for (; position > 0; --position) list = list.substr(list.find(',') + 1);
    list = list.substr(0, std::min(list.find(','), list.rfind(") ->")));
    return list.substr(list.rfind(' ') + 1);
  }
  return "argument " + std::to_string(position);
}

}  // namespace gnnlib

#ifdef GNNLIB_EMU
STABLE_TORCH_LIBRARY(gnnlib_emu, m) {
#else
STABLE_TORCH_LIBRARY(gnnlib, m) {
#endif
  for (const char* schema : gnnlib::kSchemas) m.def(schema);
}

#if !defined(GNNLIB_WITH_CUDA) && !defined(GNNLIB_EMU)
static void without_cuda(StableIValue*, uint64_t, uint64_t) {
  throw std::runtime_error(
      "this build of gnnlib has no CUDA kernels, and got a CUDA tensor: move it to the CPU with"
      " .cpu(), or rebuild on a machine with nvcc: GNNLIB_CUDA=1 pip install --no-build-isolation"
      " --force-reinstall --no-deps gnnlib");
}

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CUDA, m) {
  for (const char* schema : gnnlib::kSchemas) {
    m.impl(gnnlib::name_in(schema).c_str(), without_cuda);
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
