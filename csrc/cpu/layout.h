// A stable counting sort in two parallel passes: count each chunk's keys, then place each chunk's
// edges behind those of the chunks before it. The result does not depend on the number of chunks.
#pragma once

#include <cstdint>

namespace gnnlib::cpu {

// counts [num_rows] of the keys in [first, last); returns the first position whose key is not in
// [0, num_rows), or −1.
template <typename I>
int64_t count_keys(const I* key, int64_t first, int64_t last, int64_t num_rows, I* counts) {
  for (int64_t r = 0; r < num_rows; ++r) counts[r] = 0;
  for (int64_t k = first; k < last; ++k) {
    if (uint64_t(int64_t(key[k])) >= uint64_t(num_rows)) return k;
    ++counts[key[k]];
  }
  return -1;
}

// counts [chunks, num_rows] becomes where each chunk's first edge of each row goes; fills ptr.
template <typename I>
void place_chunks(I* counts, int64_t chunks, int64_t num_rows, I* ptr) {
  I next = 0;
  for (int64_t r = 0; r < num_rows; ++r) {
    ptr[r] = next;
    for (int64_t c = 0; c < chunks; ++c) {
      const I here = counts[c * num_rows + r];
      counts[c * num_rows + r] = next;
      next += here;
    }
  }
  ptr[num_rows] = next;
}

// Puts the edges [first, last) at their places: value (if any) and position.
template <typename I>
void place_edges(const I* key, const I* value, int64_t first, int64_t last, I* next,
                 I* sorted_value, I* position) {
  for (int64_t k = first; k < last; ++k) {
    const I at = next[key[k]]++;
    if (value) sorted_value[at] = value[k];
    position[at] = I(k);
  }
}

}  // namespace gnnlib::cpu
