// What the bindings that run the spmm kernel share.
#pragma once

#include "../device.h"

namespace gnnlib {

// The kernel's arguments for checked operands; the caller sets out, reduce and the scales. `weight`
// becomes what the arguments point at, and must live as long.
SpmmArgs spmm_args(const char* op, BoundCsr& csr, OptionalTensor& weight, const Tensor& x);

// The operators themselves, for others that are made of them.
Tensor spmm(const Tensor& ptr, const OptionalTensor& col, const OptionalTensor& eid,
            const OptionalTensor& weight, const Tensor& x, Text reduce,
            const OptionalTensor& row_scale, const OptionalTensor& col_scale);
std::tuple<Tensor, Tensor> spmm_arg(const Tensor& ptr, const OptionalTensor& col,
                                    const OptionalTensor& eid, const OptionalTensor& weight,
                                    const Tensor& x, Text reduce);

void check_scale(const char* op, const char* name, const OptionalTensor& scale, int64_t rows,
                 const Tensor& x);

}  // namespace gnnlib
