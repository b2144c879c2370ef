// Bindings of coo_to_csr, csr_transpose and csr_add_loops.
#include "layout.h"

#include <cstring>
#include <memory>

#include "bind.h"

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

void check_num_rows(const char* op, const char* name, int64_t num_rows, const Tensor& key) {
  if (num_rows < 0) fail(op, ": ", name, " must not be negative, got ", num_rows);
  const bool wide = key.scalar_type() == ScalarType::Long;
  check_wide(op, name, num_rows, wide);
  check_wide(op, "num_edges", key.numel(), wide);
}

Sorted sort_edges(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
                  const char* rows_name, int64_t num_rows) {
  check_num_rows(op, rows_name, num_rows, key);
  return key.scalar_type() == ScalarType::Long
             ? sort_by_key<int64_t>(op, key_name, key, value, num_rows)
             : sort_by_key<int32_t>(op, key_name, key, value, num_rows);
}

std::tuple<Tensor, Tensor, Tensor> coo_to_csr(const Tensor& dst_, const Tensor& src_,
                                              int64_t num_dst) {
  check_index("coo_to_csr", "dst", dst_);
  const Tensor dst = dense(dst_), src = dense(src_);
  check_same_dtype("coo_to_csr", "src", src, "dst", dst.scalar_type());
  check_shape("coo_to_csr", "src", src, {dst.numel()});
  Sorted s = sort_edges("coo_to_csr", "dst", dst, &src, "num_dst", num_dst);
  return {s.ptr, s.value, s.position};
}

template <typename I>
static Tensor row_of_each_edge(const BoundCsr& csr) {
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

std::tuple<Tensor, Tensor, Tensor> csr_transpose(const Tensor& ptr, const Tensor& col,
                                                 int64_t num_src) {
  const BoundCsr csr("csr_transpose", ptr, col, std::nullopt);
  csr.check_edges("csr_transpose", csr.num_edges);
  const Tensor row = csr.wide ? row_of_each_edge<int64_t>(csr) : row_of_each_edge<int32_t>(csr);
  Sorted s = sort_edges("csr_transpose", "col", *csr.col, &row, "num_src", num_src);
  return {s.ptr, s.value, s.position};
}

template <typename I>
static std::tuple<Tensor, Tensor, Tensor> add_loops(const BoundCsr& csr) {
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

std::tuple<Tensor, Tensor, Tensor> csr_add_loops(const Tensor& ptr, const Tensor& col,
                                                 const OptionalTensor& eid) {
  const BoundCsr csr("csr_add_loops", ptr, col, eid);
  csr.check_edges("csr_add_loops", csr.num_edges);
  if (!csr.wide && csr.num_edges + csr.num_rows > std::numeric_limits<int32_t>::max()) {
    fail("csr_add_loops: ", csr.num_edges, " edges and up to ", csr.num_rows,
         " loops need int64 indices, got int32");
  }
  return csr.wide ? add_loops<int64_t>(csr) : add_loops<int32_t>(csr);
}

}  // namespace gnnlib::cpu

STABLE_TORCH_LIBRARY_IMPL(gnnlib, CPU, m) {
  m.impl("coo_to_csr", TORCH_BOX(&gnnlib::cpu::coo_to_csr));
  m.impl("csr_transpose", TORCH_BOX(&gnnlib::cpu::csr_transpose));
  m.impl("csr_add_loops", TORCH_BOX(&gnnlib::cpu::csr_add_loops));
}
