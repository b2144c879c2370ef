// Building structures on the CPU.
#include "layout.h"

#include <memory>

#include "device.h"

namespace gnnlib::cpu {

// A sort of fewer edges than this is done before the threads are awake.
constexpr int64_t kSerialSort = 1 << 16;

template <typename I>
static Sorted sort_by_key(const char* op, const char* key_name, const Tensor& key,
                          const Tensor* value, int64_t num_rows) {
  const int64_t num_edges = key.numel();
  // A chunk costs a pass over the rows: worth it only where it has as many edges.
  const int64_t threads = num_edges < kSerialSort ? 1 : torch::stable::get_num_threads();
  const int64_t chunks =
      std::max<int64_t>(1, std::min<int64_t>(threads, num_edges / std::max<int64_t>(1, num_rows)));
  Tensor ptr = torch::stable::new_empty(key, {num_rows + 1});
  Tensor position = torch::stable::new_empty(key, {num_edges});
  Tensor sorted = torch::stable::new_empty(key, {value ? num_edges : 0});
  std::unique_ptr<I[]> counts(new I[chunks * num_rows]);
  std::vector<int64_t> bad(chunks, -1);
  const I* keys = static_cast<const I*>(key.data_ptr());
  auto each_chunk = [&](const auto& f) {
    if (chunks == 1) return f(int64_t(0));
    torch::stable::parallel_for(0, chunks, 1, [&](int64_t first, int64_t last) {
      for (int64_t c = first; c < last; ++c) f(c);
    });
  };
  auto bound = [&](int64_t c) { return num_edges * c / chunks; };
  each_chunk([&](int64_t c) {
    bad[c] = count_keys(keys, bound(c), bound(c + 1), num_rows, counts.get() + c * num_rows);
  });
  for (int64_t k : bad) {
    if (k >= 0) {
      fail(op, ": ", key_name, " must be below ", num_rows, " and not negative: position ", k,
           " is ", keys[k]);
    }
  }
  place_chunks(counts.get(), chunks, num_rows, static_cast<I*>(ptr.data_ptr()));
  each_chunk([&](int64_t c) {
    place_edges(keys, value ? static_cast<const I*>(value->data_ptr()) : nullptr, bound(c),
                bound(c + 1), counts.get() + c * num_rows, static_cast<I*>(sorted.data_ptr()),
                static_cast<I*>(position.data_ptr()));
  });
  return {ptr, sorted, position};
}

Sorted Cpu::sort(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
                 int64_t num_rows, bool) const {
  return key.scalar_type() == ScalarType::Long
             ? sort_by_key<int64_t>(op, key_name, key, value, num_rows)
             : sort_by_key<int32_t>(op, key_name, key, value, num_rows);
}

template <typename I>
static Tensor rows_of(const BoundCsr& csr) {
  Tensor row = torch::stable::new_empty(csr.ptr, {csr.num_edges});
  const I* ptr = static_cast<const I*>(csr.ptr.data_ptr());
  I* to = static_cast<I*>(row.data_ptr());
  parallel_rows(csr, csr.num_edges, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) to[k] = I(i);
    }
  });
  return row;
}

Tensor Cpu::row_of_each_edge(const BoundCsr& csr) const {
  return csr.wide ? rows_of<int64_t>(csr) : rows_of<int32_t>(csr);
}

template <typename I>
static std::tuple<Tensor, Tensor, Tensor> loops_of(const BoundCsr& csr) {
  const I* ptr = static_cast<const I*>(csr.ptr.data_ptr());
  const I* col = static_cast<const I*>(csr.col->data_ptr());
  const I* eid = static_cast<const I*>(pointer(csr.eid));
  const int64_t rows = csr.num_rows, edges = csr.num_edges;
  Tensor new_ptr = torch::stable::new_empty(csr.ptr, {rows + 1});
  I* to_ptr = static_cast<I*>(new_ptr.data_ptr());
  I added = 0;
  for (int64_t i = 0; i < rows; ++i) {
    to_ptr[i] = ptr[i] + added;
    bool has_loop = false;
    for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) has_loop |= col[k] == i;
    added += has_loop ? 0 : 1;
  }
  to_ptr[rows] = I(edges) + added;
  Tensor new_col = torch::stable::new_empty(csr.ptr, {edges + added});
  Tensor new_eid = torch::stable::new_empty(csr.ptr, {edges + added});
  I* to_col = static_cast<I*>(new_col.data_ptr());
  I* to_eid = static_cast<I*>(new_eid.data_ptr());
  I id = I(edges);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t begin = ptr[i], degree = ptr[i + 1] - begin, at = to_ptr[i];
    for (int64_t k = 0; k < degree; ++k) {
      to_col[at + k] = col[begin + k];
      to_eid[at + k] = eid ? eid[begin + k] : I(begin + k);
    }
    if (to_ptr[i + 1] - to_ptr[i] > degree) {
      to_col[at + degree] = I(i);
      to_eid[at + degree] = id++;
    }
  }
  return {new_ptr, new_col, new_eid};
}

std::tuple<Tensor, Tensor, Tensor> Cpu::add_loops(const BoundCsr& csr) const {
  return csr.wide ? loops_of<int64_t>(csr) : loops_of<int32_t>(csr);
}

}  // namespace gnnlib::cpu
