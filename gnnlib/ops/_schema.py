"""The table of the operators that the compiled extension provides, in the order of the folder.

`csrc/library.cpp` holds the same table for the compiled kernels; a test compares the two.
Where the package was built without kernels, `_extension` defines the operators from this table
and runs them on `ops/reference.py`.
"""

SCHEMAS = {
    # layout
    "coo_to_csr": "(Tensor dst, Tensor src, SymInt num_dst) -> (Tensor, Tensor, Tensor)",
    "csr_transpose": "(Tensor ptr, Tensor col, SymInt num_src) -> (Tensor, Tensor, Tensor)",
    "csr_add_loops": "(Tensor ptr, Tensor col, Tensor? eid) -> (Tensor, Tensor, Tensor)",
    # spmm
    "spmm": (
        "(Tensor ptr, Tensor? col, Tensor? eid, Tensor? weight, Tensor x, str reduce,"
        " Tensor? row_scale, Tensor? col_scale) -> Tensor"
    ),
    "spmm_arg": (
        "(Tensor ptr, Tensor? col, Tensor? eid, Tensor? weight, Tensor x, str reduce)"
        " -> (Tensor, Tensor)"
    ),
    "spmm_arg_backward": (
        "(Tensor? col, Tensor? eid, Tensor? weight, Tensor grad, Tensor arg,"
        " SymInt num_src, Tensor? t_ptr, Tensor? t_row, Tensor? t_pos) -> Tensor"
    ),
    "spmm_arg_weight": (
        "(Tensor ptr, Tensor? col, Tensor? eid, Tensor grad, Tensor x, Tensor arg,"
        " SymInt num_edges) -> Tensor"
    ),
    # multi
    "spmm_multi": (
        "(Tensor ptr, Tensor? col, Tensor x, str reduces) -> (Tensor, Tensor, Tensor, Tensor)"
    ),
    "spmm_multi_backward": (
        "(Tensor t_ptr, Tensor t_row, Tensor x, Tensor even, Tensor spread, Tensor mean) -> Tensor"
    ),
    # propagate
    "propagate": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x, SymInt steps,"
        " float alpha, Tensor? row_scale, Tensor? col_scale) -> Tensor"
    ),
    "propagate_powers": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x,"
        " SymInt steps, Tensor? row_scale, Tensor? col_scale) -> Tensor"
    ),
    "propagate_horner": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor? weight, Tensor x,"
        " Tensor? row_scale, Tensor? col_scale) -> Tensor"
    ),
    # spmm_add
    "spmm_add": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? y, Tensor? edge, float alpha,"
        " bool relu, str reduce) -> Tensor"
    ),
    "spmm_add_arg": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor edge, float alpha,"
        " str reduce) -> (Tensor, Tensor)"
    ),
    "spmm_add_gate": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor? x, Tensor? y, Tensor? edge, float alpha,"
        " Tensor grad, bool grad_is_own) -> Tensor"
    ),
    "spmm_add_edge": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? y, Tensor edge, float alpha,"
        " Tensor grad) -> Tensor"
    ),
    # sddmm
    "sddmm": "(Tensor ptr, Tensor col, Tensor? eid, Tensor? a, Tensor b, str op) -> Tensor",
    # segment
    "segment_expand": "(Tensor ptr, Tensor? eid, Tensor x, SymInt num_edges) -> Tensor",
    "segment_softmax": "(Tensor ptr, Tensor? eid, Tensor scores) -> Tensor",
    "segment_softmax_backward": ("(Tensor ptr, Tensor? eid, Tensor out, Tensor grad) -> Tensor"),
    # dropout
    "edge_dropout": "(Tensor x, Tensor? eid, float p, Tensor seed) -> Tensor",
    # attention
    "attention_gat": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor x, Tensor? score_src,"
        " Tensor? score_dst, Tensor? score_edge, float negative_slope, float dropout, Tensor? seed)"
        " -> (Tensor, Tensor)"
    ),
    "attention_gat_backward": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
        " Tensor t_pos, Tensor x, Tensor? score_src, Tensor? score_dst, Tensor? score_edge,"
        " Tensor out, Tensor lse, Tensor grad, float negative_slope, float dropout, Tensor? seed)"
        " -> (Tensor, Tensor, Tensor, Tensor)"
    ),
    "attention_gatv2": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor x_src, Tensor x_dst,"
        " Tensor att, float negative_slope, float dropout, Tensor? seed) -> (Tensor, Tensor)"
    ),
    "attention_gatv2_backward": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
        " Tensor t_pos, Tensor x_src, Tensor x_dst, Tensor att, Tensor out, Tensor lse,"
        " Tensor grad, float negative_slope, float dropout, Tensor? seed)"
        " -> (Tensor, Tensor, Tensor)"
    ),
    "attention_dot": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor query, Tensor key,"
        " Tensor value, Tensor? score_edge, float scale, float dropout, Tensor? seed)"
        " -> (Tensor, Tensor)"
    ),
    "attention_dot_backward": (
        "(Tensor ptr, Tensor col, Tensor? eid, Tensor t_ptr, Tensor t_row,"
        " Tensor t_pos, Tensor query, Tensor key, Tensor value, Tensor? score_edge, Tensor out,"
        " Tensor lse, Tensor grad, float scale, float dropout, Tensor? seed)"
        " -> (Tensor, Tensor, Tensor, Tensor)"
    ),
    # scatter
    "gather_rows": "(Tensor x, Tensor index) -> Tensor",
    "scatter": "(Tensor x, Tensor index, SymInt num_rows, str reduce) -> Tensor",
    "scatter_arg": "(Tensor x, Tensor index, SymInt num_rows, str reduce) -> (Tensor, Tensor)",
    "scatter_add_": "(Tensor(a!) out, Tensor x, Tensor index) -> ()",
}
