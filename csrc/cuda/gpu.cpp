// What the bindings ask of a GPU: which kernels, on which stream, with which memory in between.
//
// Compiled by the host's compiler: no kernel sees torch, and torch no CUDA. Nothing here waits for
// the GPU but what builds structures (layout).
#ifndef GNNLIB_EMU
#include <dlfcn.h>
#endif

#include "../cpu/device.h"
#include "../device.h"
#include "attention.h"
#include "dropout.h"
#include "layout.h"
#include "multi.h"
#include "scatter.h"
#include "sddmm.h"
#include "segment.h"
#include "spmm.h"
#include "spmm_add.h"

namespace gnnlib::cuda {
namespace {

#ifdef GNNLIB_EMU

struct Scope {
  Where where;
  explicit Scope(const Tensor&) {}
};

#else

// A function of torch's CUDA library, which is not there in a torch for the CPU: then there are no
// CUDA tensors either.
template <typename F>
F* torch_function(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  if (!found) {
    if (void* library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD)) {
      found = dlsym(library, name);
    }
  }
  if (!found) fail("gnnlib: this torch has CUDA tensors but no ", name);
  return reinterpret_cast<F*>(found);
}

// The device of the tensor is current while this lives; `where` has its current stream.
struct Scope {
  Where where;
  void* guard = nullptr;

  explicit Scope(const Tensor& t) {
    static auto* make = torch_function<int32_t(int32_t, void**)>("aoti_torch_create_cuda_guard");
    static auto* stream =
        torch_function<int32_t(int32_t, void**)>("aoti_torch_get_current_cuda_stream");
    const int32_t device = t.get_device_index();
    if (make(device, &guard) || stream(device, &where.stream)) {
      fail("gnnlib: torch does not give the stream of CUDA device ", device);
    }
  }
  ~Scope() {
    static auto* end = torch_function<int32_t(void*)>("aoti_torch_delete_cuda_guard");
    if (guard) end(guard);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
};

#endif

// Memory on the device of `like`, that lives as long as the object; null where it has no entries.
struct Room {
  std::vector<Tensor> kept;
  Tensor like;

  explicit Room(const Tensor& t) : like(t) {}
  void* get(int64_t size, ScalarType type) {
    if (size == 0) return nullptr;
    kept.push_back(torch::stable::new_empty(like, {size}, type));
    return kept.back().data_ptr();
  }
  void* bytes(size_t size) { return get(int64_t(size), ScalarType::Byte); }
};

// Where the reductions of rows of `values` values leave the pieces of long rows.
Partials partials(Room& room, const BoundCsr& csr, int64_t values, Dtype dtype,
                  bool selects = false) {
  const int64_t size = num_slots(csr.num_edges) * values;
  return {room.get(size, accumulate_type(dtype)),
          selects ? room.get(size, csr.ptr.scalar_type()) : nullptr};
}

bool selects(Reduce reduce) { return reduce == Reduce::max || reduce == Reduce::min; }

int64_t item(const Tensor& t) {
  const Tensor here =
      torch::stable::to(t, torch::stable::Device(torch::headeronly::DeviceType::CPU));
  return here.scalar_type() == ScalarType::Long ? *static_cast<const int64_t*>(here.data_ptr())
                                                : *static_cast<const int32_t*>(here.data_ptr());
}

class Gpu final : public Device {
 public:
  Tensor fresh(const Tensor& like, const std::vector<int64_t>& sizes,
               ScalarType type) const override {
    return torch::stable::new_empty(like, sizes, type);
  }

  // layout

  Sorted sort(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
              int64_t num_rows, bool may_wait) const override {
    const Scope scope(key);
    const ScalarType type = key.scalar_type();
    const bool wide = type == ScalarType::Long;
    const int64_t num_edges = key.numel();
    if (may_wait) {
      Tensor bad = torch::stable::new_empty(key, {1}, ScalarType::Long);
      torch::stable::fill_(bad, double(num_edges));
      cuda::check_range(key.data_ptr(), num_edges, num_rows, wide, bad.data_ptr(), scope.where);
      const int64_t k = item(bad);
      if (k < num_edges) {
        fail(op, ": ", key_name, " must be below ", num_rows, " and not negative: position ", k,
             " is ", item(torch::stable::narrow(const_cast<Tensor&>(key), 0, k, 1)));
      }
    }
    Room room(key);
    Tensor ptr = torch::stable::new_empty(key, {num_rows + 1});
    Tensor position = torch::stable::new_empty(key, {num_edges});
    Tensor sorted = torch::stable::new_empty(key, {value ? num_edges : 0});
    void* count = room.get(num_edges, type);
    void* sorted_key = room.get(num_edges, type);
    const size_t bytes = sort_bytes(num_edges, wide);
    fill_count(count, num_edges, wide, scope.where);
    sort_by_key(room.bytes(bytes), bytes, key.data_ptr(), sorted_key, count, position.data_ptr(),
                num_edges, num_rows, wide, scope.where);
    if (num_rows == 0 && num_edges == 0) {
      torch::stable::zero_(ptr);
    } else {
      pointers_of(sorted_key, ptr.data_ptr(), num_edges, num_rows, wide, scope.where);
    }
    if (value) {
      const RowsArgs args{value->data_ptr(), sorted.data_ptr(), position.data_ptr(), wide ? 8 : 4,
                          wide};
      cuda::gather(args, num_edges, scope.where);
    }
    return {ptr, sorted, position};
  }

  Tensor row_of_each_edge(const BoundCsr& csr) const override {
    const Scope scope(csr.ptr);
    Tensor row = torch::stable::new_empty(csr.ptr, {csr.num_edges});
    rows_of(csr.ptr.data_ptr(), row.data_ptr(), csr.num_rows, csr.num_edges, csr.wide, scope.where);
    return row;
  }

  std::tuple<Tensor, Tensor, Tensor> add_loops(const BoundCsr& csr) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    const int64_t rows = csr.num_rows, edges = csr.num_edges;
    const size_t bytes = loops_bytes(rows, csr.wide);
    Tensor added = torch::stable::new_empty(csr.ptr, {rows + 1});
    count_loops(csr.view(), room.bytes(bytes), bytes, room.get(rows + 1, csr.ptr.scalar_type()),
                added.data_ptr(), rows, edges, scope.where);
    const int64_t total = edges + item(torch::stable::narrow(added, 0, rows, 1));
    Tensor ptr = torch::stable::new_empty(csr.ptr, {rows + 1});
    Tensor col = torch::stable::new_empty(csr.ptr, {total});
    Tensor eid = torch::stable::new_empty(csr.ptr, {total});
    cuda::add_loops(csr.view(), added.data_ptr(), ptr.data_ptr(), col.data_ptr(), eid.data_ptr(),
                    rows, edges, scope.where);
    return {ptr, col, eid};
  }

  // spmm

  void prepare(const BoundCsr&, OptionalTensor&, const Tensor&, SpmmArgs&) const override {}

  void spmm(const BoundCsr& csr, const SpmmArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    cuda::spmm(args, csr.num_rows, csr.num_edges,
               partials(room, csr, args.heads * args.dim, args.dtype, selects(args.reduce)),
               scope.where);
  }

  void arg_backward(const ArgBackwardArgs& args, int64_t num_edges, const Tensor& out,
                    const Transpose* transpose) const override {
    const Scope scope(out);
    Room room(out);
    if (transpose) {
      back_along(args, transpose->csr.ptr, *transpose->csr.col, transpose->pos, out, room,
                 scope.where);
      return;
    }
    if (args.num_rows == 0 || num_edges == 0) {
      Tensor nothing = out;
      torch::stable::zero_(nothing);
      return;
    }
    // As much of a transpose as the winners tell.
    const ScalarType type = args.csr.wide ? ScalarType::Long : ScalarType::Int;
    Tensor row = torch::stable::new_zeros(out, {num_edges}, type);
    winner_rows(args, row.data_ptr(), scope.where);
    if (!args.csr.col) {  // position k reads row k: there is nothing to sort
      const Tensor count = torch::stable::new_empty(out, {out.size(0) + 1}, type);
      fill_count(count.data_ptr(), out.size(0) + 1, args.csr.wide, scope.where);
      back_along(args, count, row, count, out, room, scope.where);
      return;
    }
    const Tensor source = torch::stable::new_empty(out, {num_edges}, type);
    const int64_t bytes = num_edges * int64_t(source.element_size());
    cuda::spread(args.csr.col, source.data_ptr(), 1, bytes, bytes, scope.where);
    const Sorted sorted = sort("spmm_arg_backward", "col", source, &row, out.size(0), false);
    back_along(args, sorted.ptr, sorted.value, sorted.position, out, room, scope.where);
  }

  void arg_weight(const BoundCsr& csr, const ArgWeightArgs& args) const override {
    const Scope scope(csr.ptr);
    cuda::arg_weight(args, csr.num_rows, csr.num_edges, scope.where);
  }

  void multi(const BoundCsr& csr, const MultiArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    const int64_t size = num_slots(csr.num_edges) * args.dim;
    const ScalarType wide = accumulate_type(args.dtype), index = csr.ptr.scalar_type();
    const MultiPartials slots{room.get(size, wide), room.get(size, wide), room.get(size, wide),
                              room.get(size, index), room.get(size, index)};
    cuda::multi(args, csr.num_rows, csr.num_edges, slots, scope.where);
  }

  void multi_backward(const BoundCsr& csr, const MultiArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    cuda::multi_backward(args, csr.num_rows, csr.num_edges,
                         partials(room, csr, args.dim, args.dtype), scope.where);
  }

  void spmm_add(const BoundCsr& csr, const SpmmAddArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    cuda::spmm_add(args, csr.num_rows, csr.num_edges,
                   partials(room, csr, args.dim, args.dtype, selects(args.reduce)), scope.where);
  }

  void spmm_add_gate(const BoundCsr& csr, const SpmmAddArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    cuda::spmm_add_gate(args, csr.num_rows, csr.num_edges,
                        partials(room, csr, args.dim, args.dtype), scope.where);
  }

  void spmm_add_edge(const BoundCsr& csr, const SpmmAddArgs& args) const override {
    const Scope scope(csr.ptr);
    cuda::spmm_add_edge(args, csr.num_rows, csr.num_edges, scope.where);
  }

  void sddmm(const BoundCsr& csr, const SddmmArgs& args) const override {
    const Scope scope(csr.ptr);
    cuda::sddmm(args, csr.num_rows, csr.num_edges, scope.where);
  }

  // segment

  void softmax(const BoundCsr& csr, const SoftmaxArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    cuda::softmax(args, csr.num_rows, csr.num_edges, stats(room, csr, args), scope.where);
  }

  void softmax_backward(const BoundCsr& csr, const SoftmaxArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    cuda::softmax_backward(args, csr.num_rows, csr.num_edges, stats(room, csr, args), scope.where);
  }

  void expand(const BoundCsr& csr, const RowsArgs& args) const override {
    const Scope scope(csr.ptr);
    cuda::expand(csr.view(), args, csr.num_rows, csr.num_edges, scope.where);
  }

  // scatter

  void gather(const Tensor& like, int64_t num_rows, const RowsArgs& args) const override {
    const Scope scope(like);
    cuda::gather(args, num_rows, scope.where);
  }

  std::optional<Tensor> scatter(const Tensor&, const Tensor&, int64_t, Text) const override {
    return std::nullopt;
  }

  void scatter_add(const Tensor& out, const Tensor& index,
                   const ScatterAddArgs& args) const override {
    const Scope scope(out);
    const Sorted sorted = sort("scatter_add_", "index", index, nullptr, out.size(0), false);
    const AddRowsArgs rows{{sorted.ptr.data_ptr(), sorted.position.data_ptr(), nullptr, args.wide},
                           args.x,
                           args.out,
                           args.dim,
                           args.dtype};
    Room room(out);
    const BoundCsr csr("scatter_add_", sorted.ptr, sorted.position, std::nullopt);
    add_rows(rows, csr.num_rows, csr.num_edges, partials(room, csr, args.dim, args.dtype),
             scope.where);
  }

  void rename(const Tensor& entries, const Tensor& order) const override {
    const Scope scope(entries);
    cuda::rename(entries.data_ptr(), order.data_ptr(), entries.numel(),
                 entries.scalar_type() == ScalarType::Long, scope.where);
  }

  void spread(const Tensor& like, const void* from, void* to, int64_t rows, int64_t bytes,
              int64_t stride) const override {
    const Scope scope(like);
    cuda::spread(from, to, rows, bytes, stride, scope.where);
  }

  // dropout

  void set_seed(const Tensor& seed, uint64_t&, const void*& address) const override {
    address = seed.data_ptr();
  }

  void dropout(const Tensor& like, const DropoutArgs& args) const override {
    const Scope scope(like);
    cuda::dropout(args, like.size(0), scope.where);
  }

  // attention

  void attention(const BoundCsr& csr, const AttentionArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    const ScalarType wide = accumulate_type(args.dtype);
    void* partial = room.get(num_slots(csr.num_edges) * args.heads * (args.dim + 2), wide);
    cuda::attention(args, csr.num_rows, csr.num_edges, scores(room, csr, args, scope.where),
                    partial, scope.where);
  }

  void attention_gat_backward(const BoundCsr& csr, const Transpose& transpose,
                              const AttentionArgs& given) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    AttentionArgs args = given;
    args.grad_edge = args.score_edge ? args.edges : nullptr;
    EdgeGradients edges = edge_room(room, csr, args);
    if (args.edges && !args.score_edge) edges.score = args.edges;
    attention_edges(args, csr.num_rows, csr.num_edges, edges, scope.where);
    weighted(room, transpose, csr, args, args.grad, edges.weight, args.grad_value, 1, scope.where);
    if (!args.grad_src) return;
    const Csr by_source{transpose.csr.ptr.data_ptr(), transpose.pos.data_ptr(), nullptr, csr.wide};
    sum_rows(room, by_source, transpose.csr, edges.score, args.grad_src, args.heads, args.dtype,
             scope.where);
  }

  void attention_gatv2_backward(const BoundCsr& csr, const Transpose& transpose,
                                const AttentionArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    const int64_t values = args.heads * args.dim;
    const EdgeGradients edges = edge_room(room, csr, args);
    attention_edges(args, csr.num_rows, csr.num_edges, edges, scope.where);
    const Partials slots = partials(room, csr, values, args.dtype);
    attention_gatv2_destinations(args, csr.num_rows, csr.num_edges, edges, slots, scope.where);
    AttentionArgs there = args;
    there.csr = transpose.view(args.csr);
    attention_gatv2_sources(there, transpose.csr.num_rows, csr.num_edges, edges, slots,
                            scope.where);
    void* rows = room.get(csr.num_rows * values, accumulate_type(args.dtype));
    attention_gatv2_att(args, csr.num_rows, csr.num_edges, edges, rows, slots, scope.where);
    // One row of all destinations.
    Tensor ends = torch::stable::new_empty(csr.ptr, {2});
    fill_ends(ends.data_ptr(), csr.num_rows, csr.wide, scope.where);
    BoundCsr all("attention_gatv2_backward", ends, std::nullopt, std::nullopt);
    all.num_edges = csr.num_rows;
    sum_rows(room, all.view(), all, rows, args.grad_att, values, args.dtype, scope.where);
  }

  void attention_dot_backward(const BoundCsr& csr, const Transpose& transpose,
                              const AttentionArgs& args) const override {
    const Scope scope(csr.ptr);
    Room room(csr.ptr);
    const EdgeGradients edges = edge_room(room, csr, args);
    attention_edges(args, csr.num_rows, csr.num_edges, edges, scope.where);
    const HeadWeightedArgs query{{args.csr.ptr, args.csr.col, nullptr, args.csr.wide},
                                 args.key,
                                 edges.score,
                                 args.grad_query,
                                 args.scale,
                                 args.heads,
                                 args.dim,
                                 args.dtype};
    head_weighted(query, csr.num_rows, csr.num_edges,
                  partials(room, csr, args.heads * args.dim, args.dtype), scope.where);
    weighted(room, transpose, csr, args, args.query, edges.score, args.grad_key, args.scale,
             scope.where);
    weighted(room, transpose, csr, args, args.grad, edges.weight, args.grad_value, 1, scope.where);
  }

 private:
  static void back_along(const ArgBackwardArgs& given, const Tensor& t_ptr, const Tensor& t_row,
                         const Tensor& t_pos, const Tensor& out, Room& room, const Where& where) {
    ArgBackwardArgs args = given;
    args.id = given.csr.eid;
    args.csr = {t_ptr.data_ptr(), t_row.data_ptr(), t_pos.data_ptr(), given.csr.wide};
    const BoundCsr csr("spmm_arg_backward", t_ptr, t_row, std::nullopt);
    cuda::arg_backward(args, out.size(0), csr.num_edges,
                       partials(room, csr, args.heads * args.dim, args.dtype), where);
  }

  static void* stats(Room& room, const BoundCsr& csr, const SoftmaxArgs& args) {
    return room.get((csr.num_rows + num_slots(csr.num_edges)) * args.heads * 2,
                    accumulate_type(args.dtype));
  }

  // The scores of dot and gatv2 as an array, where they are needed.
  static const void* scores(Room& room, const BoundCsr& csr, const AttentionArgs& args,
                            const Where& where) {
    if (!needs_scores(args)) return nullptr;
    void* to = room.get(csr.num_edges * args.heads, accumulate_type(args.dtype));
    attention_scores(args, csr.num_rows, csr.num_edges, to, where);
    return to;
  }

  static EdgeGradients edge_room(Room& room, const BoundCsr& csr, const AttentionArgs& args) {
    const ScalarType wide = accumulate_type(args.dtype);
    const int64_t size = csr.num_edges * args.heads;
    return {room.get(csr.num_rows * args.heads, wide), room.get(size, wide), room.get(size, wide)};
  }

  // Σ over the edges of each source of weight · rows of their destinations.
  static void weighted(Room& room, const Transpose& transpose, const BoundCsr& csr,
                       const AttentionArgs& args, const void* rows, const void* weight, void* out,
                       double factor, const Where& where) {
    const HeadWeightedArgs sum{
        transpose.view(args.csr), rows, weight, out, factor, args.heads, args.dim, args.dtype};
    head_weighted(sum, transpose.csr.num_rows, csr.num_edges,
                  partials(room, transpose.csr, args.heads * args.dim, args.dtype), where);
  }

  // Σ of rows of the accumulation type.
  static void sum_rows(Room& room, const Csr& csr, const BoundCsr& bound, const void* rows,
                       void* out, int64_t dim, Dtype dtype, const Where& where) {
    SpmmArgs args{};
    args.csr = csr;
    args.x = rows;
    args.out = out;
    args.heads = 1;
    args.dim = args.x_stride = args.out_stride = dim;
    args.factor = 1;
    args.dtype = dtype == Dtype::f64 ? Dtype::f64 : Dtype::f32;
    args.reduce = Reduce::sum;
    cuda::spmm(args, bound.num_rows, bound.num_edges, partials(room, bound, dim, args.dtype),
               where);
  }
};

}  // namespace
}  // namespace gnnlib::cuda

const gnnlib::Device& gnnlib::device_of(const Tensor& t) {
  static const cuda::Gpu gpu;
#ifndef GNNLIB_EMU
  if (t.is_cpu()) return cpu::cpu_device();
#endif
  (void)t;
  return gpu;
}
