#include "machine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace gnnlib::emu {
namespace {

constexpr size_t kStack = 256 << 10;  // bytes; the pages that a fiber does not touch are not there

// A place to continue: a stack and, on it, the registers that a call must keep.
struct Context {
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t state;
#endif
  char* bottom = nullptr;  // of the stack; null: the host thread's own
  size_t size = 0;
  void* fake = nullptr;  // of AddressSanitizer
};

#if defined(__x86_64__)
// Leaves the registers that a callee must keep on the stack of the caller, and takes up those that
// lie on the other one.
extern "C" void gnnlib_emu_switch(void** from, void* to);
asm(R"(
.text
.globl gnnlib_emu_switch
.hidden gnnlib_emu_switch
.type gnnlib_emu_switch,@function
gnnlib_emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size gnnlib_emu_switch,.-gnnlib_emu_switch
)");
#endif

enum class State { ready, done };

struct Fiber {
  Context context;
  State state;
};

// Where the lanes of a warp meet, in groups of one size.
struct Meeting {
  uint64_t slots[2][kWarp];  // of a group's exchange and of the one before, which some still read
  int arrived[kWarp];        // of each group
  uint64_t generation[kWarp];
};

struct Warp {
  Meeting meetings[6];  // of groups of 1, 2, … 32
};

struct Machine {
  Context host;
  std::deque<Fiber> fibers;  // kept from launch to launch, for their stacks
  std::vector<Warp> warps;
  int threads = 0, running = 0, alive = 0;
  int64_t block = 0;
  uint64_t progress = 0;
  Entry entry = nullptr;
  const void* kernel = nullptr;

  void run_block();
  void wait_until(const uint64_t& generation, uint64_t passed);
};

Machine machine;

void switch_between(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake, to.bottom, to.size);
#endif
#if defined(__x86_64__)
  gnnlib_emu_switch(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.state, &to.state);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);
#endif
}

// The first frame of every fiber; it is entered again for each block.
void begin() {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  machine.host.bottom = static_cast<char*>(const_cast<void*>(bottom));
  machine.host.size = size;
#endif
  for (;;) {
    machine.entry(machine.kernel);
    Fiber& self = machine.fibers[machine.running];
    self.state = State::done;
    --machine.alive;
    ++machine.progress;
    switch_between(self.context, machine.host);
  }
}

void prepare(Fiber& fiber) {
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, kStack + page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("emulation: no memory for a stack");
  mprotect(memory, page, PROT_NONE);  // a stack that grows too far ends here
  Context& context = fiber.context;
  context.bottom = static_cast<char*>(memory) + page;
  context.size = kStack;
#if defined(__x86_64__)
  // As a call would leave it: 16-byte alignment before the return address, which leads to begin.
  void** top = reinterpret_cast<void**>(context.bottom + context.size) - 2;
  *top = reinterpret_cast<void*>(&begin);
  context.stack_pointer = top - 6;
#else
  getcontext(&context.state);
  context.state.uc_stack.ss_sp = context.bottom;
  context.state.uc_stack.ss_size = context.size;
  makecontext(&context.state, begin, 0);
#endif
}

// A rendezvous: the last of the group to come lets all go on.
void arrive(Meeting& meeting, int group, int lanes) {
  uint64_t& generation = meeting.generation[group];
  const uint64_t passed = generation;
  ++machine.progress;
  if (++meeting.arrived[group] == lanes) {
    meeting.arrived[group] = 0;
    ++generation;
    return;
  }
  machine.wait_until(generation, passed);
}

void Machine::wait_until(const uint64_t& now, uint64_t passed) {
  while (now == passed) switch_between(fibers[running].context, host);
}

void Machine::run_block() {
  static const char* seed = std::getenv("GNNLIB_EMU_SHUFFLE");
  static std::mt19937 random(seed ? std::atoi(seed) : 0);
  std::vector<int> order(threads);
  std::iota(order.begin(), order.end(), 0);
  for (int t = 0; t < threads; ++t) fibers[t].state = State::ready;
  for (Warp& warp : warps) {
    for (Meeting& meeting : warp.meetings) std::fill_n(meeting.arrived, kWarp, 0);
  }
  alive = threads;
  while (alive) {
    const uint64_t before = progress;
    if (seed) std::shuffle(order.begin(), order.end(), random);
    for (const int t : order) {
      if (fibers[t].state == State::done) continue;
      running = t;
      switch_between(host, fibers[t].context);
    }
    if (progress != before) continue;
    const std::string waiting = std::to_string(alive), all = std::to_string(threads);
    // Their stacks are in the middle of a kernel: they are of no more use.
    for (Fiber& fiber : fibers) munmap(fiber.context.bottom, fiber.context.size);
    fibers.clear();
    throw std::runtime_error("emulation: " + waiting + " of " + all + " threads of block " +
                             std::to_string(block) +
                             " wait for others that have returned or wait elsewhere");
  }
}

}  // namespace

int64_t block_index() { return machine.block; }
int thread_index() { return machine.running; }
int block_size() { return machine.threads; }

const uint64_t* exchange(uint64_t bits, int group_bits) {
  Meeting& meeting = machine.warps[machine.running / kWarp].meetings[group_bits];
  const int lane = machine.running % kWarp, group = lane >> group_bits;
  uint64_t* slots = meeting.slots[meeting.generation[group] % 2];
  slots[lane] = bits;
  arrive(meeting, group, 1 << group_bits);
  return slots;
}

void run(int64_t blocks, int threads, Entry entry, const void* kernel) {
  if (threads <= 0 || threads % kWarp) {
    throw std::runtime_error("emulation: a block must have whole warps");
  }
  machine.threads = threads;
  machine.entry = entry;
  machine.kernel = kernel;
  machine.warps.resize(threads / kWarp);
  while (machine.fibers.size() < size_t(threads)) prepare(machine.fibers.emplace_back());
  for (int64_t block = 0; block < blocks; ++block) {
    machine.block = block;
    machine.run_block();
  }
}

}  // namespace gnnlib::emu
