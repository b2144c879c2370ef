// How the edges of a CSR are divided: a group of lanes for each row, and rows of more than kLong
// edges, which would keep one group busy while all others wait, in chunks.
//
// A chunk is kChunk edges at fixed places, and meets at most two long rows: the one its first edge
// belongs to (slot 0) and one that begins in it (slot 1). Each leaves what it has found in its
// slot; a second pass takes the slots of a row in order. So the result depends on the graph alone,
// nothing is counted beforehand, and the host never waits.
#pragma once

#include "device.h"
#include "where.h"

namespace gnnlib::cuda {

// A piece of a row: edges [begin, end) of row i.
struct Piece {
  int64_t row, begin, end;
};

// The last row that begins at or before the edge.
template <typename I>
GNNLIB_DEVICE int64_t row_of(const I* ptr, int64_t num_rows, int64_t edge) {
  int64_t low = 0, high = num_rows;  // ptr[low] <= edge < ptr[high]
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    ptr[middle] <= edge ? low = middle : high = middle;
  }
  return low;
}

template <typename I>
GNNLIB_DEVICE bool is_long(const I* ptr, int64_t row) {
  return ptr[row + 1] - ptr[row] > kLong;
}

// What is in a slot of a chunk; an empty piece where that is no long row's.
template <typename I>
GNNLIB_DEVICE Piece piece_of(const I* ptr, int64_t num_rows, int64_t num_edges, int64_t chunk,
                             int slot) {
  const int64_t first = chunk * kChunk;
  const int64_t last = first + kChunk < num_edges ? first + kChunk : num_edges;
  const int64_t opening = row_of(ptr, num_rows, first);
  const int64_t row = slot == 0 ? opening : row_of(ptr, num_rows, last - 1);
  if (!is_long(ptr, row) || (slot == 1 && row == opening)) return {row, 0, 0};
  const int64_t begin = ptr[row], end = ptr[row + 1];
  return {row, begin > first ? begin : first, end < last ? end : last};
}

// What the group of that number has to do: the row of that number or, among the pieces of the long
// rows, what is in that slot. False where that is nothing.
template <typename I>
GNNLIB_DEVICE bool find_piece(const I* ptr, int64_t num_rows, int64_t num_edges, bool of_long_rows,
                              int64_t group, Piece& piece) {
  if (of_long_rows) {
    if (group >= 2 * ((num_edges + kChunk - 1) / kChunk)) return false;
    piece = piece_of(ptr, num_rows, num_edges, group / 2, int(group % 2));
    return piece.begin < piece.end;
  }
  if (group >= num_rows) return false;
  piece = {group, int64_t(ptr[group]), int64_t(ptr[group + 1])};
  return true;
}

// The slots of a long row, in order: `visit(slot)` with slot = 2 · chunk + 0 or 1.
template <typename I, typename Visit>
GNNLIB_DEVICE void for_slots(const I* ptr, int64_t row, const Visit& visit) {
  const int64_t begin = ptr[row], first = begin / kChunk, last = (ptr[row + 1] - 1) / kChunk;
  for (int64_t chunk = first; chunk <= last; ++chunk) {
    visit(2 * chunk + (chunk * kChunk < begin));
  }
}

}  // namespace gnnlib::cuda
