// Launcher of gather_rows. (scatter sorts its index and is then a reduction of segments.)
#pragma once

#include "../cpu/kernels.h"

namespace gnnlib::cuda {

using cpu::RowsArgs;

struct Where;

void gather(const RowsArgs& args, int64_t num_rows, const Where& where);

}  // namespace gnnlib::cuda
