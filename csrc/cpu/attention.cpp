// Bindings of fused attention, forward and backward.
#include <tuple>

#include "spmm_args.h"

namespace gnnlib::cpu {

using TwoTensors = std::tuple<Tensor, Tensor>;

// The arguments that all of the family share, made contiguous and checked.
struct BoundAttention {
  const char* op;
  BoundCsr csr;
  Tensor value;
  std::vector<Tensor> kept;  // contiguous copies live as long as the pointers to them
  AttentionArgs args{};
  int64_t work;

  BoundAttention(const char* op_, const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                 const char* name, const Tensor& value_, Score score, double slope, double dropout,
                 const OptionalTensor& seed)
      : op(op_), csr(op, ptr, col, eid), value(dense(value_)) {
    csr.check_edges(op, csr.num_edges);
    args.dtype = dtype_of(op, name, value);
    if (value.dim() != 3) {
      fail(op, ": ", name, " must have shape (num_src, H, D), got ", shape_of(value));
    }
    if (!(dropout >= 0 && dropout <= 1)) {
      fail(op, ": dropout must lie in [0, 1], got ", dropout);
    }
    args.csr = csr.view();
    args.value = value.data_ptr();
    args.heads = value.size(1);
    args.dim = value.size(2);
    args.score = score;
    args.slope = slope;
    args.scale = args.keep_scale = 1;
    args.threshold = uint32_t(dropout * (1 << 24));
    work = (csr.num_edges + csr.num_rows) * args.heads * (args.dim + 8);
    if (args.threshold == 0) return;
    if (!seed || seed->scalar_type() != ScalarType::Long || seed->numel() != 1 || !seed->is_cpu()) {
      fail(op, ": seed must be one int64 on the CPU");
    }
    args.seed = uint64_t(*static_cast<const int64_t*>(seed->data_ptr()));
    args.keep_scale = dropout < 1 ? 1 / (1 - dropout) : 0;
  }

  ScalarType accumulation() const { return accumulate_type(value.scalar_type()); }

  // [rows, H, D] of the dtype of value.
  void* rows(const char* name, const Tensor& t, int64_t rows) {
    check_shape(op, name, t, {rows, args.heads, args.dim});
    check_same_dtype(op, name, t, "the values", value.scalar_type());
    return keep(t);
  }
  // Of the accumulation type.
  void* wide(const char* name, const OptionalTensor& t, const std::vector<int64_t>& sizes) {
    if (!t) return nullptr;
    check_shape(op, name, *t, sizes);
    if (t->scalar_type() != accumulation()) {
      fail(op, ": ", name, " must be float64 for float64 rows and float32 for all others, got ",
           name_of(t->scalar_type()), " with ", name_of(value.scalar_type()));
    }
    return keep(*t);
  }
  void* keep(const Tensor& t) {
    kept.push_back(dense(t));
    return kept.back().data_ptr();
  }

  void scores(const OptionalTensor& src, const OptionalTensor& dst, const OptionalTensor& edge) {
    args.score_src = wide("score_src", src, {value.size(0), args.heads});
    args.score_dst = wide("score_dst", dst, {csr.num_rows, args.heads});
    args.score_edge = wide("score_edge", edge, {csr.num_edges, args.heads});
  }

  TwoTensors forward() {
    Tensor out = new_output(value, {csr.num_rows, args.heads, args.dim});
    Tensor lse = new_output(value, {csr.num_rows, args.heads}, accumulation());
    args.out = out.data_ptr();
    args.lse = lse.data_ptr();
    parallel_rows(csr, work,
                  [&](int64_t first, int64_t last) { kernels().attention(args, first, last); });
    return {out, lse};
  }

  void results(const Tensor& out, const Tensor& lse, const Tensor& grad) {
    args.out = rows("out", out, csr.num_rows);
    args.lse = wide("lse", lse, {csr.num_rows, args.heads});
    args.grad = rows("grad", grad, csr.num_rows);
  }

  Tensor fresh(const std::vector<int64_t>& sizes) const {
    return new_output(value, sizes, accumulation());
  }
};

// The transpose, and the arguments as a pass over it reads them.
struct BoundTranspose {
  BoundCsr csr;
  Tensor pos;

  BoundTranspose(const BoundAttention& of, const Tensor& t_ptr, const Tensor& t_row,
                 const Tensor& t_pos)
      : csr(of.op, t_ptr, t_row, std::nullopt), pos(dense(t_pos)) {
    const ScalarType type = of.csr.ptr.scalar_type();
    check_same_dtype(of.op, "t_ptr", csr.ptr, "ptr", type);
    check_index(of.op, "t_pos", pos);
    check_same_dtype(of.op, "t_pos", pos, "ptr", type);
    check_shape(of.op, "t_row", t_row, {of.csr.num_edges});
    check_shape(of.op, "t_pos", pos, {of.csr.num_edges});
    check_shape(of.op, "t_ptr", csr.ptr, {of.value.size(0) + 1});
    csr.check_edges(of.op, of.csr.num_edges);
  }

  AttentionArgs view(AttentionArgs args) const {
    args.csr = {csr.ptr.data_ptr(), csr.col->data_ptr(), args.csr.eid, args.csr.wide};
    args.pos = pos.data_ptr();
    return args;
  }
};

// gat ---------------------------------------------------------------------------------------------

TwoTensors attention_gat(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                         const Tensor& x, const OptionalTensor& score_src,
                         const OptionalTensor& score_dst, const OptionalTensor& score_edge,
                         double negative_slope, double dropout, const OptionalTensor& seed) {
  BoundAttention bound("attention_gat", ptr, col, eid, "x", x, Score::gat, negative_slope, dropout,
                       seed);
  bound.scores(score_src, score_dst, score_edge);
  return bound.forward();
}

std::tuple<Tensor, Tensor, Tensor, Tensor> attention_gat_backward(
    const Tensor& ptr, const Tensor& col, const OptionalTensor& eid, const Tensor& t_ptr,
    const Tensor& t_row, const Tensor& t_pos, const Tensor& x, const OptionalTensor& score_src,
    const OptionalTensor& score_dst, const OptionalTensor& score_edge, const Tensor& out,
    const Tensor& lse, const Tensor& grad, double negative_slope, double dropout,
    const OptionalTensor& seed) {
  BoundAttention bound("attention_gat_backward", ptr, col, eid, "x", x, Score::gat, negative_slope,
                       dropout, seed);
  bound.scores(score_src, score_dst, score_edge);
  bound.results(out, lse, grad);
  const BoundTranspose transpose(bound, t_ptr, t_row, t_pos);
  AttentionArgs& args = bound.args;
  const int64_t heads = args.heads, num_dst = bound.csr.num_rows, num_edges = bound.csr.num_edges;
  const auto rows_of = [&](const OptionalTensor& t) { return t ? t->size(0) : int64_t(0); };
  Tensor grad_x = new_output(bound.value, with_rows(bound.value, bound.value.size(0)));
  Tensor grad_src = bound.fresh({rows_of(score_src), heads});
  Tensor grad_dst = bound.fresh({0, heads});
  Tensor edges = bound.fresh({score_dst || score_edge ? num_edges : 0, heads});
  Tensor packed = bound.fresh({num_dst, 3, heads});
  args.grad_value = grad_x.data_ptr();
  args.grad_src = score_src ? grad_src.data_ptr() : nullptr;
  args.edges = score_dst || score_edge ? edges.data_ptr() : nullptr;
  args.packed = packed.data_ptr();
  parallel_even(num_dst, num_dst * heads * args.dim,
                [&](int64_t first, int64_t last) { kernels().attention_pack(args, first, last); });
  const AttentionArgs there = transpose.view(args);
  parallel_rows(transpose.csr, bound.work, [&](int64_t first, int64_t last) {
    kernels().attention_gat_sources(there, first, last);
  });
  if (score_dst) {
    const OptionalTensor at = score_edge ? bound.csr.eid : std::nullopt;
    grad_dst = spmm(bound.csr.ptr, at, std::nullopt, std::nullopt, edges, "sum", std::nullopt,
                    std::nullopt);
  }
  return {grad_x, grad_src, grad_dst, score_edge ? edges : bound.fresh({0, heads})};
}

// gatv2 -------------------------------------------------------------------------------------------

TwoTensors attention_gatv2(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                           const Tensor& x_src, const Tensor& x_dst, const Tensor& att,
                           double negative_slope, double dropout, const OptionalTensor& seed) {
  BoundAttention bound("attention_gatv2", ptr, col, eid, "x_src", x_src, Score::gatv2,
                       negative_slope, dropout, seed);
  bound.args.query = bound.rows("x_dst", x_dst, bound.csr.num_rows);
  bound.args.att = bound.wide("att", att, {bound.args.heads, bound.args.dim});
  return bound.forward();
}

template <typename A>
static void sum_parts(const Tensor& parts, const Tensor& out) {
  const A* from = static_cast<const A*>(parts.data_ptr());
  A* to = static_cast<A*>(out.data_ptr());
  const int64_t size = out.numel();
  for (int64_t f = 0; f < size; ++f) to[f] = 0;
  for (int64_t p = 0; p < parts.size(0); ++p) {
    for (int64_t f = 0; f < size; ++f) to[f] += from[p * size + f];
  }
}

std::tuple<Tensor, Tensor, Tensor> attention_gatv2_backward(
    const Tensor& ptr, const Tensor& col, const OptionalTensor& eid, const Tensor& t_ptr,
    const Tensor& t_row, const Tensor& t_pos, const Tensor& x_src, const Tensor& x_dst,
    const Tensor& att, const Tensor& out, const Tensor& lse, const Tensor& grad,
    double negative_slope, double dropout, const OptionalTensor& seed) {
  BoundAttention bound("attention_gatv2_backward", ptr, col, eid, "x_src", x_src, Score::gatv2,
                       negative_slope, dropout, seed);
  AttentionArgs& args = bound.args;
  args.query = bound.rows("x_dst", x_dst, bound.csr.num_rows);
  args.att = bound.wide("att", att, {args.heads, args.dim});
  bound.results(out, lse, grad);
  const BoundTranspose transpose(bound, t_ptr, t_row, t_pos);
  // A number that the number of threads has no part in: what is summed over the rows is summed in
  // the parts, and then over them in order.
  const int64_t parts = bound.work < kSerialWork ? 1 : 64;
  Tensor grad_src = new_output(bound.value, with_rows(bound.value, bound.value.size(0)));
  Tensor grad_dst = new_output(bound.value, with_rows(bound.value, bound.csr.num_rows));
  Tensor grad_att = bound.fresh({args.heads, args.dim});
  Tensor grad_parts = bound.fresh({parts, args.heads, args.dim});
  Tensor edges = bound.fresh({bound.csr.num_edges, 2, args.heads});
  args.grad_value = grad_src.data_ptr();
  args.grad_query = grad_dst.data_ptr();
  args.edges = edges.data_ptr();
  char* to = static_cast<char*>(grad_parts.data_ptr());
  const int64_t bytes = args.heads * args.dim * int64_t(grad_parts.element_size());
  const auto bounds = split_rows(bound.csr, parts);
  parallel_parts(parts, bound.work, [&](int64_t part, int64_t) {
    AttentionArgs mine = args;
    mine.grad_att = to + part * bytes;
    kernels().attention_destinations(mine, bounds[part], bounds[part + 1]);
  });
  args.dtype == Dtype::f64 ? sum_parts<double>(grad_parts, grad_att)
                           : sum_parts<float>(grad_parts, grad_att);
  const AttentionArgs there = transpose.view(args);
  parallel_rows(transpose.csr, bound.work, [&](int64_t first, int64_t last) {
    kernels().attention_sources(there, first, last);
  });
  return {grad_src, grad_dst, grad_att};
}

// dot ---------------------------------------------------------------------------------------------

TwoTensors attention_dot(const Tensor& ptr, const Tensor& col, const OptionalTensor& eid,
                         const Tensor& query, const Tensor& key, const Tensor& value,
                         const OptionalTensor& score_edge, double scale, double dropout,
                         const OptionalTensor& seed) {
  BoundAttention bound("attention_dot", ptr, col, eid, "value", value, Score::dot, 0, dropout,
                       seed);
  bound.args.scale = scale;
  bound.args.query = bound.rows("query", query, bound.csr.num_rows);
  bound.args.key = bound.rows("key", key, bound.value.size(0));
  bound.scores(std::nullopt, std::nullopt, score_edge);
  return bound.forward();
}

std::tuple<Tensor, Tensor, Tensor, Tensor> attention_dot_backward(
    const Tensor& ptr, const Tensor& col, const OptionalTensor& eid, const Tensor& t_ptr,
    const Tensor& t_row, const Tensor& t_pos, const Tensor& query, const Tensor& key,
    const Tensor& value, const OptionalTensor& score_edge, const Tensor& out, const Tensor& lse,
    const Tensor& grad, double scale, double dropout, const OptionalTensor& seed) {
  BoundAttention bound("attention_dot_backward", ptr, col, eid, "value", value, Score::dot, 0,
                       dropout, seed);
  AttentionArgs& args = bound.args;
  args.scale = scale;
  args.query = bound.rows("query", query, bound.csr.num_rows);
  args.key = bound.rows("key", key, bound.value.size(0));
  bound.scores(std::nullopt, std::nullopt, score_edge);
  bound.results(out, lse, grad);
  const BoundTranspose transpose(bound, t_ptr, t_row, t_pos);
  const int64_t num_src = bound.value.size(0), num_edges = bound.csr.num_edges;
  Tensor grad_query = new_output(bound.value, with_rows(bound.value, bound.csr.num_rows));
  Tensor grad_key = new_output(bound.value, with_rows(bound.value, num_src));
  Tensor grad_value = new_output(bound.value, with_rows(bound.value, num_src));
  Tensor grad_edge = bound.fresh({score_edge ? num_edges : 0, args.heads});
  Tensor edges = bound.fresh({num_edges, 2, args.heads});
  args.grad_query = grad_query.data_ptr();
  args.grad_key = grad_key.data_ptr();
  args.grad_value = grad_value.data_ptr();
  args.grad_edge = score_edge ? grad_edge.data_ptr() : nullptr;
  args.edges = edges.data_ptr();
  parallel_rows(bound.csr, bound.work, [&](int64_t first, int64_t last) {
    kernels().attention_destinations(args, first, last);
  });
  const AttentionArgs there = transpose.view(args);
  parallel_rows(transpose.csr, bound.work, [&](int64_t first, int64_t last) {
    kernels().attention_sources(there, first, last);
  });
  return {grad_query, grad_key, grad_value, grad_edge};
}

}  // namespace gnnlib::cpu

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, m) {
  m.impl("attention_gat", TORCH_BOX(&gnnlib::cpu::attention_gat));
  m.impl("attention_gat_backward", TORCH_BOX(&gnnlib::cpu::attention_gat_backward));
  m.impl("attention_gatv2", TORCH_BOX(&gnnlib::cpu::attention_gatv2));
  m.impl("attention_gatv2_backward", TORCH_BOX(&gnnlib::cpu::attention_gatv2_backward));
  m.impl("attention_dot", TORCH_BOX(&gnnlib::cpu::attention_dot));
  m.impl("attention_dot_backward", TORCH_BOX(&gnnlib::cpu::attention_dot_backward));
}
