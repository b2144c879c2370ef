// Chooses the clone of the kernels: the best this processor runs, or the lower one that the
// environment variable GNNLIB_CPU_CAPABILITY names.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace gnnlib::cpu {

namespace baseline {
extern const Kernels table;
}
#ifdef GNNLIB_X86_CLONES
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
#endif

static const Kernels& choose() {
#ifdef GNNLIB_X86_CLONES
  const char* wish = std::getenv("GNNLIB_CPU_CAPABILITY");
  auto allowed = [&](const Kernels& clone) {
    // Each name allows itself and what lies below: "avx2" leaves out avx512.
    if (!wish || !*wish || std::strcmp(wish, "avx512") == 0) return true;
    return std::strcmp(wish, clone.name) == 0;
  };
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (has_avx512 && allowed(avx512::table)) return avx512::table;
  if (has_avx2 && allowed(avx2::table)) return avx2::table;
#endif
  return baseline::table;
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace gnnlib::cpu

extern "C" __attribute__((visibility("default"))) const char* gnnlib_cpu_capability() {
  return gnnlib::cpu::kernels().name;
}
