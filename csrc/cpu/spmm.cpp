// Bindings of spmm and of the gradients of its max and min.
#include "spmm_args.h"

namespace gnnlib::cpu {

static Reduce reduce_of(const std::string& name) {
  if (name == "sum") return Reduce::sum;
  if (name == "mean") return Reduce::mean;
  if (name == "mul") return Reduce::mul;
  if (name == "max") return Reduce::max;
  if (name == "min") return Reduce::min;
  fail("spmm: reduce must be sum, mean, mul, max or min, got '", name, "'");
}

static bool selects(Reduce reduce) { return reduce == Reduce::max || reduce == Reduce::min; }

// How the weights divide a row of x: heads of dim values each. Heads only matter where weights
// differ between them: all else is one head of all the values.
struct WeightedRows {
  Weights weights;
  int64_t heads, dim;
};

static WeightedRows weighted_rows(const char* op, const OptionalTensor& weight, const Tensor& x,
                                  int64_t num_edges) {
  const int64_t values = flat_rows(x).dim;
  if (!weight) return {Weights::none, 1, values};
  check_same_dtype(op, "weight", *weight, "x", x.scalar_type());
  if (weight->dim() == 1) {
    check_shape(op, "weight", *weight, {num_edges});
    return {Weights::edge, 1, values};
  }
  if (weight->dim() == x.dim()) {
    check_shape(op, "weight", *weight, with_rows(x, num_edges));
    return {Weights::feature, 1, values};
  }
  if (weight->dim() != 2 || x.dim() != 3) {
    fail(op, ": weight must be [E], [E, H] with x [num_src, H, D], or have the features of x; got ",
         shape_of(*weight), " with x of shape ", shape_of(x));
  }
  check_shape(op, "weight", *weight, {num_edges, x.size(1)});
  return {Weights::head, x.size(1), x.size(2)};
}

// The weights in the order of the edges' positions.
static Tensor in_order(const BoundCsr& csr, const Tensor& weight) {
  Tensor out = new_output(weight, with_rows(weight, csr.num_edges));
  RowsArgs args{};
  args.from = weight.data_ptr();
  args.to = out.data_ptr();
  args.index = csr.eid->data_ptr();
  args.bytes = flat_rows(weight).dim * int64_t(weight.element_size());
  args.wide = csr.wide;
  parallel_even(csr.num_edges, out.numel(),
                [&](int64_t first, int64_t last) { kernels().gather(args, first, last); });
  return out;
}

// Weights that would be read in no order are put in order before the sum where they and the rows of
// x are too many for one core's cache and for the last: gathered between those rows, the two would
// take the cache from each other. (Both bounds were timed.)
static bool sorted_first(const BoundCsr& csr, Weights weights, const Tensor& weight,
                         const Tensor& x) {
  const int64_t bytes = weight.numel() * int64_t(weight.element_size());
  const int64_t rows = x.numel() * int64_t(x.element_size());
  return csr.eid && weights != Weights::feature && bytes > (2 << 20) && bytes + rows > (16 << 20);
}

SpmmArgs spmm_args(const char* op, const BoundCsr& csr, OptionalTensor& weight, const Tensor& x) {
  if (x.dim() < 1) fail(op, ": x must have rows, got a scalar");
  SpmmArgs args{};
  args.dtype = dtype_of(op, "x", x);
  // Without col and eid, position k reads row k and weight k: then x has the edges.
  const int64_t num_edges = csr.num_edges < 0 ? x.size(0) : csr.num_edges;
  csr.check_edges(op, num_edges);
  check_wide(op, "num_src", x.size(0), csr.wide);
  const WeightedRows rows = weighted_rows(op, weight, x, num_edges);
  args.csr = csr.view();
  args.weights = rows.weights;
  if (weight && sorted_first(csr, rows.weights, *weight, x)) {
    weight = in_order(csr, *weight);
    args.csr.eid = nullptr;
  }
  args.weight = pointer(weight);
  args.x = x.data_ptr();
  args.heads = rows.heads;
  args.dim = rows.dim;
  args.x_stride = args.out_stride = rows.heads * rows.dim;
  args.factor = 1;
  args.cached = x.numel() * int64_t(x.element_size()) <= kCached;
  return args;
}

int64_t work_of(const BoundCsr& csr, const SpmmArgs& args) {
  return (csr.at(csr.num_rows) + csr.num_rows) * args.heads * args.dim;
}

void check_scale(const char* op, const char* name, const OptionalTensor& scale, int64_t rows,
                 const Tensor& x) {
  if (!scale) return;
  check_shape(op, name, *scale, {rows});
  if (scale->scalar_type() != accumulate_type(x.scalar_type())) {
    fail(op, ": ", name, " must be float64 for float64 x and float32 for all others, got ",
         name_of(scale->scalar_type()), " with x ", name_of(x.scalar_type()));
  }
}

Tensor spmm(const Tensor& ptr, const OptionalTensor& col, const OptionalTensor& eid,
            const OptionalTensor& weight_, const Tensor& x_, Text reduce,
            const OptionalTensor& row_scale_, const OptionalTensor& col_scale_) {
  const BoundCsr csr("spmm", ptr, col, eid);
  const Tensor x = dense(x_);
  OptionalTensor weight = dense(weight_);
  const OptionalTensor row_scale = dense(row_scale_), col_scale = dense(col_scale_);
  SpmmArgs args = spmm_args("spmm", csr, weight, x);
  check_scale("spmm", "row_scale", row_scale, csr.num_rows, x);
  check_scale("spmm", "col_scale", col_scale, x.size(0), x);
  args.reduce = reduce_of(reduce);
  if (selects(args.reduce) && (row_scale || col_scale))
    fail("spmm: row_scale and col_scale must be None for ", reduce);
  args.row_scale = pointer(row_scale);
  args.col_scale = pointer(col_scale);
  Tensor out = new_output(x, with_rows(x, csr.num_rows));
  args.out = out.data_ptr();
  parallel_rows(csr, work_of(csr, args),
                [&](int64_t first, int64_t last) { kernels().spmm(args, first, last); });
  return out;
}

std::tuple<Tensor, Tensor> spmm_arg(const Tensor& ptr, const OptionalTensor& col,
                                    const OptionalTensor& eid, const OptionalTensor& weight_,
                                    const Tensor& x_, Text reduce) {
  const BoundCsr csr("spmm_arg", ptr, col, eid);
  const Tensor x = dense(x_);
  OptionalTensor weight = dense(weight_);
  SpmmArgs args = spmm_args("spmm_arg", csr, weight, x);
  args.reduce = reduce_of(reduce);
  if (!selects(args.reduce)) fail("spmm_arg: reduce must be max or min, got '", reduce, "'");
  const auto sizes = with_rows(x, csr.num_rows);
  Tensor out = new_output(x, sizes), arg = new_output(x, sizes, ptr.scalar_type());
  args.out = out.data_ptr();
  args.arg = arg.data_ptr();
  parallel_rows(csr, work_of(csr, args),
                [&](int64_t first, int64_t last) { kernels().spmm(args, first, last); });
  return {out, arg};
}

// Whether the gradient of max and min looks at all edges, row by row of the transpose, rather than
// for the sources of the winners, all over memory: both were timed, on rows that lie in the last
// cache and on rows that do not.
static bool walks_transpose(int64_t num_edges, int64_t num_rows, int64_t row_bytes) {
  return num_edges <= num_rows * (num_rows * row_bytes <= (32 << 20) ? 32 : 16);
}

Tensor spmm_arg_backward(const OptionalTensor& col_, const OptionalTensor& eid_,
                         const OptionalTensor& weight_, const Tensor& grad_, const Tensor& arg_,
                         int64_t num_src, const OptionalTensor& t_ptr, const OptionalTensor& t_row,
                         const OptionalTensor& t_pos) {
  const char* op = "spmm_arg_backward";
  const Tensor grad = dense(grad_), arg = dense(arg_);
  const OptionalTensor col = dense(col_), eid = dense(eid_), weight = dense(weight_);
  if (grad.dim() < 1) fail(op, ": grad must have rows, got a scalar");
  check_shape(op, "arg", arg, with_rows(grad, grad.size(0)));
  const auto index = arg.scalar_type();
  for (const auto* part : {&col, &eid}) {
    const char* name = part == &col ? "col" : "eid";
    if (!*part) continue;
    check_index(op, name, **part);
    check_same_dtype(op, name, **part, "arg", index);
  }
  ArgBackwardArgs args{};
  args.csr = {nullptr, pointer(col), pointer(eid), index == ScalarType::Long};
  args.dtype = dtype_of(op, "grad", grad);
  const WeightedRows rows = weighted_rows(op, weight, grad, weight ? weight->size(0) : 0);
  args.weights = rows.weights;
  args.heads = rows.heads;
  args.dim = rows.dim;
  args.num_rows = grad.size(0);
  args.weight = pointer(weight);
  args.grad = grad.data_ptr();
  args.arg = arg.data_ptr();
  Tensor out = new_output(grad, with_rows(grad, num_src));
  args.out = out.data_ptr();
  const bool per_edge = rows.weights == Weights::none || rows.weights == Weights::edge;
  const int64_t row_bytes = rows.heads * rows.dim * (grad.element_size() + arg.element_size());
  if (t_ptr && t_row && t_pos && per_edge &&
      walks_transpose(t_pos->numel(), args.num_rows, row_bytes)) {
    const BoundCsr back(op, *t_ptr, t_row, t_pos);
    check_same_dtype(op, "t_ptr", back.ptr, "arg", index);
    check_shape(op, "t_ptr", back.ptr, {num_src + 1});
    back.check_edges(op, back.num_edges);
    args.id = args.csr.eid;
    args.csr = back.view();
    parallel_rows(
        back, (back.num_edges + num_src) * rows.heads * rows.dim,
        [&](int64_t first, int64_t last) { kernels().arg_backward_rows(args, first, last); });
    return out;
  }
  // One owner for each entry of the result: a tile of features, of some of the sources. A tile of
  // one cache line keeps more of the rows it adds to in the cache; all owners read all of arg.
  const auto wide = accumulate_type(grad.scalar_type());
  const int64_t bytes = wide == ScalarType::Double ? 8 : 4;
  // An entry costs what four of a sum do.
  const int64_t values = rows.heads * rows.dim, work = 4 * args.num_rows * values;
  if (num_src == 0 || values == 0) return out;
  const int64_t tile = num_src * values * bytes <= kCached ? values : 64 / bytes;
  const int64_t tiles = (values + tile - 1) / tile, threads = threads_for(work);
  const int64_t ranges = (threads + tiles - 1) / tiles, size = (num_src + ranges - 1) / ranges;
  const int64_t workers = std::min(tiles * ranges, threads);
  const Tensor room = new_output(grad, {workers, size, tile}, wide);
  parallel_parts(tiles * ranges, work, [&](int64_t part, int64_t worker) {
    const int64_t first = part / tiles * size, start = part % tiles * tile;
    kernels().arg_backward(args, std::min(first, num_src), std::min(first + size, num_src), start,
                           std::min(start + tile, values),
                           static_cast<char*>(room.data_ptr()) + worker * size * tile * bytes);
  });
  return out;
}

Tensor spmm_arg_weight(const Tensor& ptr, const OptionalTensor& col, const OptionalTensor& eid,
                       const Tensor& grad_, const Tensor& x_, const Tensor& arg_,
                       int64_t num_edges) {
  const char* op = "spmm_arg_weight";
  const BoundCsr csr(op, ptr, col, eid);
  csr.check_edges(op, num_edges);
  const Tensor grad = dense(grad_), x = dense(x_), arg = dense(arg_);
  if (grad.dim() != 2 && grad.dim() != 3)
    fail(op, ": grad must have 2 or 3 dimensions, got ", shape_of(grad));
  check_shape(op, "grad", grad, with_rows(grad, csr.num_rows));
  check_shape(op, "x", x, with_rows(grad, csr.col ? -1 : num_edges));
  check_shape(op, "arg", arg, with_rows(grad, csr.num_rows));
  check_same_dtype(op, "x", x, "grad", grad.scalar_type());
  check_same_dtype(op, "arg", arg, "ptr", ptr.scalar_type());
  ArgWeightArgs args{};
  args.csr = csr.view();
  args.dtype = dtype_of(op, "grad", grad);
  args.heads = grad.dim() == 3 ? grad.size(1) : 1;
  args.dim = grad.size(grad.dim() - 1);
  args.grad = grad.data_ptr();
  args.x = x.data_ptr();
  args.arg = arg.data_ptr();
  std::vector<int64_t> sizes{num_edges};
  if (grad.dim() == 3) sizes.push_back(args.heads);
  Tensor out = new_output(grad, sizes);
  args.out = out.data_ptr();
  parallel_rows(csr, num_edges * args.heads * args.dim,
                [&](int64_t first, int64_t last) { kernels().arg_weight(args, first, last); });
  return out;
}

}  // namespace gnnlib::cpu

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, m) {
  m.impl("spmm", TORCH_BOX(&gnnlib::cpu::spmm));
  m.impl("spmm_arg", TORCH_BOX(&gnnlib::cpu::spmm_arg));
  m.impl("spmm_arg_backward", TORCH_BOX(&gnnlib::cpu::spmm_arg_backward));
  m.impl("spmm_arg_weight", TORCH_BOX(&gnnlib::cpu::spmm_arg_weight));
}
