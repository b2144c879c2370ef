// Launchers that build structures: a stable sort of the edges by their row, the row pointers of
// sorted rows, the row of each edge, and self-loops.
#pragma once

#include <cstddef>

#include "../cpu/kernels.h"

namespace gnnlib::cuda {

struct Where;

// Scratch that sort_by_key needs, in bytes.
size_t sort_bytes(int64_t num_edges, bool wide);

// Sorts `position` 0, 1, … by key, stably; keys lie in [0, num_rows).
void sort_by_key(void* scratch, size_t bytes, const void* key, void* sorted_key, const void* count,
                 void* position, int64_t num_edges, int64_t num_rows, bool wide,
                 const Where& where);

// 0, 1, 2, …
void fill_count(void* to, int64_t num_edges, bool wide, const Where& where);

// ptr [num_rows + 1] of sorted rows.
void pointers_of(const void* sorted_row, void* ptr, int64_t num_edges, int64_t num_rows, bool wide,
                 const Where& where);

// The row of each edge of a CSR.
void rows_of(const void* ptr, void* row, int64_t num_rows, int64_t num_edges, bool wide,
             const Where& where);

// bad [1], int64 and set to −1: becomes the position of an index that is not in [0, size), if any.
void check_range(const void* index, int64_t num_edges, int64_t size, bool wide, void* bad,
                 const Where& where);

}  // namespace gnnlib::cuda
