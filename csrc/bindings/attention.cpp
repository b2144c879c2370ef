// Bindings of fused attention, forward and backward.
#include <tuple>

#include "spmm.h"

namespace gnnlib {

using TwoTensors = std::tuple<Tensor, Tensor>;

// The arguments that all of the family share, made contiguous and checked.
struct BoundAttention {
  const char* op;
  BoundCsr csr;
  Tensor value;
  std::vector<Tensor> kept;  // contiguous copies live as long as the pointers to them
  AttentionArgs args{};

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
    if (args.threshold == 0) return;
    if (!seed) fail(op, ": seed must be given for dropout");
    check_seed(op, *seed, value);
    device().set_seed(*seed, args.seed, args.device_seed);
    kept.push_back(*seed);
    args.keep_scale = dropout < 1 ? 1 / (1 - dropout) : 0;
  }

  const Device& device() const { return device_of(value); }
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
    Tensor out = gnnlib::fresh(value, {csr.num_rows, args.heads, args.dim});
    Tensor lse = gnnlib::fresh(value, {csr.num_rows, args.heads}, accumulation());
    args.out = out.data_ptr();
    args.lse = lse.data_ptr();
    device().attention(csr, args);
    return {out, lse};
  }

  void results(const Tensor& out, const Tensor& lse, const Tensor& grad) {
    args.out = rows("out", out, csr.num_rows);
    args.lse = wide("lse", lse, {csr.num_rows, args.heads});
    args.grad = rows("grad", grad, csr.num_rows);
  }

  Tensor fresh(const std::vector<int64_t>& sizes) const {
    return gnnlib::fresh(value, sizes, accumulation());
  }
};

static Transpose transpose_of(const BoundAttention& of, const Tensor& t_ptr, const Tensor& t_row,
                              const Tensor& t_pos) {
  Transpose back{BoundCsr(of.op, t_ptr, t_row, std::nullopt), dense(t_pos)};
  const ScalarType type = of.csr.ptr.scalar_type();
  check_same_dtype(of.op, "t_ptr", back.csr.ptr, "ptr", type);
  check_index(of.op, "t_pos", back.pos);
  check_same_dtype(of.op, "t_pos", back.pos, "ptr", type);
  check_shape(of.op, "t_row", t_row, {of.csr.num_edges});
  check_shape(of.op, "t_pos", back.pos, {of.csr.num_edges});
  check_shape(of.op, "t_ptr", back.csr.ptr, {of.value.size(0) + 1});
  back.csr.check_edges(of.op, of.csr.num_edges);
  return back;
}

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
  const Transpose transpose = transpose_of(bound, t_ptr, t_row, t_pos);
  AttentionArgs& args = bound.args;
  const int64_t heads = args.heads, num_edges = bound.csr.num_edges;
  const auto rows_of = [&](const OptionalTensor& t) { return t ? t->size(0) : int64_t(0); };
  Tensor grad_x = gnnlib::fresh(bound.value, with_rows(bound.value, bound.value.size(0)));
  Tensor grad_src = bound.fresh({rows_of(score_src), heads});
  Tensor grad_dst = bound.fresh({0, heads});
  Tensor edges = bound.fresh({score_dst || score_edge ? num_edges : 0, heads});
  args.grad_value = grad_x.data_ptr();
  args.grad_src = score_src ? grad_src.data_ptr() : nullptr;
  args.edges = score_dst || score_edge ? edges.data_ptr() : nullptr;
  bound.device().attention_gat_backward(bound.csr, transpose, args);
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
  const Transpose transpose = transpose_of(bound, t_ptr, t_row, t_pos);
  Tensor grad_src = gnnlib::fresh(bound.value, with_rows(bound.value, bound.value.size(0)));
  Tensor grad_dst = gnnlib::fresh(bound.value, with_rows(bound.value, bound.csr.num_rows));
  Tensor grad_att = bound.fresh({args.heads, args.dim});
  args.grad_value = grad_src.data_ptr();
  args.grad_query = grad_dst.data_ptr();
  args.grad_att = grad_att.data_ptr();
  bound.device().attention_gatv2_backward(bound.csr, transpose, args);
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
  const Transpose transpose = transpose_of(bound, t_ptr, t_row, t_pos);
  const int64_t num_src = bound.value.size(0), num_edges = bound.csr.num_edges;
  Tensor grad_query = gnnlib::fresh(bound.value, with_rows(bound.value, bound.csr.num_rows));
  Tensor grad_key = gnnlib::fresh(bound.value, with_rows(bound.value, num_src));
  Tensor grad_value = gnnlib::fresh(bound.value, with_rows(bound.value, num_src));
  Tensor grad_edge = bound.fresh({score_edge ? num_edges : 0, args.heads});
  args.grad_query = grad_query.data_ptr();
  args.grad_key = grad_key.data_ptr();
  args.grad_value = grad_value.data_ptr();
  args.grad_edge = score_edge ? grad_edge.data_ptr() : nullptr;
  bound.device().attention_dot_backward(bound.csr, transpose, args);
  return {grad_query, grad_key, grad_value, grad_edge};
}

}  // namespace gnnlib

GNNLIB_REGISTER {
  GNNLIB_OP(attention_gat);
  GNNLIB_OP(attention_gat_backward);
  GNNLIB_OP(attention_gatv2);
  GNNLIB_OP(attention_gatv2_backward);
  GNNLIB_OP(attention_dot);
  GNNLIB_OP(attention_dot_backward);
}
