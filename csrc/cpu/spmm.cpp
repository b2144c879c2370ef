// spmm and the gradients of its max and min on the CPU.
#include "device.h"

namespace gnnlib::cpu {

// Weights that would be read in no order are put in order before the sum where they and the rows of
// x are too many for one core's cache and for the last: gathered between those rows, the two would
// take the cache from each other. (Both bounds were timed.)
static bool sorted_first(const BoundCsr& csr, Weights weights, const Tensor& weight,
                         int64_t row_bytes) {
  const int64_t bytes = weight.numel() * int64_t(weight.element_size());
  return csr.eid && weights != Weights::feature && bytes > (2 << 20) &&
         bytes + row_bytes > (16 << 20);
}

void Cpu::prepare(const BoundCsr& csr, OptionalTensor& weight, const Tensor& x,
                  SpmmArgs& args) const {
  const int64_t bytes = x.numel() * int64_t(x.element_size());
  args.cached = bytes <= kCached;
  if (!weight || !sorted_first(csr, args.weights, *weight, bytes)) return;
  weight = gathered(*weight, *csr.eid);
  args.csr.eid = nullptr;
}

void Cpu::spmm(const BoundCsr& csr, const SpmmArgs& args) const {
  parallel_rows(csr, (csr.num_edges + csr.num_rows) * args.heads * args.dim,
                [&](int64_t first, int64_t last) { kernels().spmm(args, first, last); });
}

// Whether the gradient of max and min looks at all edges, row by row of the transpose, rather than
// for the sources of the winners, all over memory: both were timed, on rows that lie in the last
// cache and on rows that do not.
static bool walks_transpose(int64_t num_edges, int64_t num_rows, int64_t row_bytes) {
  return num_edges <= num_rows * (num_rows * row_bytes <= (32 << 20) ? 32 : 16);
}

void Cpu::arg_backward(const ArgBackwardArgs& args, int64_t, const Tensor& out,
                       const Transpose* transpose) const {
  const int64_t num_src = out.size(0), values = args.heads * args.dim;
  const bool per_edge = args.weights == Weights::none || args.weights == Weights::edge;
  const int64_t row_bytes = values * (out.element_size() + (args.csr.wide ? 8 : 4));
  if (transpose && per_edge &&
      walks_transpose(transpose->csr.num_edges, args.num_rows, row_bytes)) {
    ArgBackwardArgs there = args;
    there.id = args.csr.eid;
    there.csr = transpose->view(args.csr);
    parallel_rows(
        transpose->csr, (transpose->csr.num_edges + num_src) * values,
        [&](int64_t first, int64_t last) { kernels().arg_backward_rows(there, first, last); });
    return;
  }
  // One owner for each entry of the result: a tile of features, of some of the sources. A tile of
  // one cache line keeps more of the rows it adds to in the cache; all owners read all of arg.
  const auto wide = accumulate_type(out.scalar_type());
  const int64_t bytes = wide == ScalarType::Double ? 8 : 4;
  // An entry costs what four of a sum do.
  const int64_t work = 4 * args.num_rows * values;
  if (num_src == 0 || values == 0) return;
  const int64_t tile = num_src * values * bytes <= kCached ? values : 64 / bytes;
  const int64_t tiles = (values + tile - 1) / tile, threads = threads_for(work);
  const int64_t ranges = (threads + tiles - 1) / tiles, size = (num_src + ranges - 1) / ranges;
  const int64_t workers = std::min(tiles * ranges, threads);
  const Tensor room = fresh(out, {workers, size, tile}, wide);
  parallel_parts(tiles * ranges, work, [&](int64_t part, int64_t worker) {
    const int64_t first = part / tiles * size, start = part % tiles * tile;
    kernels().arg_backward(args, std::min(first, num_src), std::min(first + size, num_src), start,
                           std::min(start + tile, values),
                           static_cast<char*>(room.data_ptr()) + worker * size * tile * bytes);
  });
}

void Cpu::arg_weight(const BoundCsr& csr, const ArgWeightArgs& args) const {
  parallel_rows(csr, csr.num_edges * args.heads * args.dim,
                [&](int64_t first, int64_t last) { kernels().arg_weight(args, first, last); });
}

}  // namespace gnnlib::cpu
