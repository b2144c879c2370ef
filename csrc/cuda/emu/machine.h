// A GPU on the host, for tests: runs a kernel block by block, each thread of a block as a fiber.
//
// It shows whether a kernel computes what it should, reads and writes where it may, and takes part
// in every shuffle of its group. It shows nothing of races, of the memory model or of speed: one
// thread runs at a time, and gives way only where it waits for others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace gnnlib::emu {

constexpr int kWarp = 32;

// The thread that runs, as the kernel sees it.
int64_t block_index();
int thread_index();
int block_size();

// Leaves `bits` for the other lanes of this lane's group, of 2^group_bits neighbours, waits for
// theirs, and gives those of the warp's lanes: valid until this lane calls it twice more.
const uint64_t* exchange(uint64_t bits, int group_bits);

template <typename T>
T shuffle(T value, int from, int group_bits) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  const uint64_t* all = exchange(bits, group_bits);
  std::memcpy(&value, &all[from & (kWarp - 1)], sizeof(T));
  return value;
}

using Entry = void (*)(const void* kernel);

// Runs entry(kernel) in every thread. Throws std::runtime_error where the threads of a block wait
// for one another forever. GNNLIB_EMU_SHUFFLE=SEED lets the threads run in orders drawn from a
// seed.
void run(int64_t blocks, int threads, Entry entry, const void* kernel);

}  // namespace gnnlib::emu
