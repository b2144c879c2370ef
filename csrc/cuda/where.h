// What the host decides before it starts a kernel: the stream, and room for the pieces of long
// rows.
#pragma once

#include <cstdint>

namespace gnnlib::cuda {

// What a launcher needs besides its arguments.
struct Where {
  void* stream = nullptr;  // a cudaStream_t; of the device that is current
};

// Rows of more than kLong edges are divided in chunks of kChunk (tasks.h).
constexpr int64_t kChunk = 512, kLong = 1024;  // edges

inline int64_t num_chunks(int64_t num_edges) { return (num_edges + kChunk - 1) / kChunk; }

// Places for what the pieces of long rows leave behind; none where no row can be long.
inline int64_t num_slots(int64_t num_edges) {
  return num_edges > kLong ? 2 * num_chunks(num_edges) : 0;
}

// The rows that they leave behind in a reduction; null where no row can be long.
struct Partials {
  void* values = nullptr;  // [num_slots, values], in the accumulation type
  void* args = nullptr;    // likewise, of positions, for max and min
};

}  // namespace gnnlib::cuda
