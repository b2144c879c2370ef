// Fresh outputs, on huge pages where they are large.
#include "device.h"

#include <cstdlib>
#include <cstring>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace gnnlib::cpu {

static bool huge_pages_wanted() {
  static const bool wanted = [] {
    const char* value = std::getenv("GNNLIB_HUGE_PAGES");
    return !value || std::strcmp(value, "0") != 0;
  }();
  return wanted;
}

static Tensor on_huge_pages(Tensor out) {
#ifdef __linux__
  constexpr uintptr_t page = uintptr_t(2) << 20;
  const uintptr_t bytes = uintptr_t(out.numel()) * out.element_size();
  if (bytes >= 2 * page && huge_pages_wanted()) {
    const uintptr_t start = reinterpret_cast<uintptr_t>(out.data_ptr());
    const uintptr_t first = (start + page - 1) / page * page, last = (start + bytes) / page * page;
    // Advice only: where it is refused, the pages stay small.
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  }
#endif
  return out;
}

Tensor Cpu::fresh(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType type) const {
  return on_huge_pages(torch::stable::new_empty(like, sizes, type));
}

}  // namespace gnnlib::cpu
