// Launchers that build structures: a stable sort of the edges by their row, the row pointers of
// sorted rows, the row of each edge, and self-loops.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../arguments.h"
#include "where.h"

namespace gnnlib::cuda {

// Scratch that sort_by_key needs, in bytes.
size_t sort_bytes(int64_t num_edges, bool wide);

// Sorts `position` 0, 1, … by key, stably; keys lie in [0, num_rows).
void sort_by_key(void* scratch, size_t bytes, const void* key, void* sorted_key, const void* count,
                 void* position, int64_t num_edges, int64_t num_rows, bool wide,
                 const Where& where);

// 0, 1, 2, …
void fill_count(void* to, int64_t num_edges, bool wide, const Where& where);

// to[0] = 0, to[1] = size.
void fill_ends(void* to, int64_t size, bool wide, const Where& where);

// entry = order[entry] where it is not negative.
void rename(void* entries, const void* order, int64_t size, bool wide, const Where& where);

// Rows of `bytes` bytes, `stride` apart in `to`.
void spread(const void* from, void* to, int64_t rows, int64_t bytes, int64_t stride,
            const Where& where);

// ptr [num_rows + 1] of sorted rows; those outside [0, num_rows) count as the nearest.
void pointers_of(const void* sorted_row, void* ptr, int64_t num_edges, int64_t num_rows, bool wide,
                 const Where& where);

// The row of each edge of a CSR.
void rows_of(const void* ptr, void* row, int64_t num_rows, int64_t num_edges, bool wide,
             const Where& where);

// bad [1], int64 and set to num_edges: becomes the first position whose index is not in [0, size).
void check_range(const void* index, int64_t num_edges, int64_t size, bool wide, void* bad,
                 const Where& where);

// Self-loops for the rows that have none: `added` [num_rows + 1] becomes how many of them the rows
// before each have, the last entry of how many there are; then the new CSR, with as many more
// edges.
size_t loops_bytes(int64_t num_rows, bool wide);
void count_loops(const Csr& csr, void* scratch, size_t bytes, void* missing, void* added,
                 int64_t num_rows, int64_t num_edges, const Where& where);
void add_loops(const Csr& csr, const void* added, void* new_ptr, void* new_col, void* new_eid,
               int64_t num_rows, int64_t num_edges, const Where& where);

}  // namespace gnnlib::cuda
