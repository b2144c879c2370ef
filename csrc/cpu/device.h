// The CPU as the bindings see it.
#pragma once

#include "../device.h"
#include "parallel.h"

namespace gnnlib::cpu {

class Cpu final : public Device {
 public:
  Tensor fresh(const Tensor& like, const std::vector<int64_t>& sizes,
               ScalarType type) const override;

  Sorted sort(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
              int64_t num_rows, bool may_wait) const override;
  Tensor row_of_each_edge(const BoundCsr& csr) const override;
  std::tuple<Tensor, Tensor, Tensor> add_loops(const BoundCsr& csr) const override;

  void prepare(const BoundCsr& csr, OptionalTensor& weight, const Tensor& x,
               SpmmArgs& args) const override;
  void spmm(const BoundCsr& csr, const SpmmArgs& args) const override;
  void arg_backward(const ArgBackwardArgs& args, int64_t num_edges, const Tensor& out,
                    const Transpose* transpose) const override;
  void arg_weight(const BoundCsr& csr, const ArgWeightArgs& args) const override;
  void multi(const BoundCsr& csr, const MultiArgs& args) const override;
  void multi_backward(const BoundCsr& csr, const MultiArgs& args) const override;
  void spmm_add(const BoundCsr& csr, const SpmmAddArgs& args) const override;
  void spmm_add_gate(const BoundCsr& csr, const SpmmAddArgs& args) const override;
  void spmm_add_edge(const BoundCsr& csr, const SpmmAddArgs& args) const override;

  void sddmm(const BoundCsr& csr, const SddmmArgs& args) const override;

  void softmax(const BoundCsr& csr, const SoftmaxArgs& args) const override;
  void softmax_backward(const BoundCsr& csr, const SoftmaxArgs& args) const override;
  void expand(const BoundCsr& csr, const RowsArgs& args) const override;

  void gather(const Tensor& like, int64_t num_rows, const RowsArgs& args) const override;
  std::optional<Tensor> scatter(const Tensor& x, const Tensor& index, int64_t num_rows,
                                Text reduce) const override;
  void scatter_add(const Tensor& out, const Tensor& index,
                   const ScatterAddArgs& args) const override;
  void rename(const Tensor& entries, const Tensor& order) const override;
  void spread(const Tensor& like, const void* from, void* to, int64_t rows, int64_t bytes,
              int64_t stride) const override;

  void set_seed(const Tensor& seed, uint64_t& value, const void*& address) const override;
  void dropout(const Tensor& x, const DropoutArgs& args) const override;

  void attention(const BoundCsr& csr, const AttentionArgs& args) const override;
  void attention_gat_backward(const BoundCsr& csr, const Transpose& transpose,
                              const AttentionArgs& args) const override;
  void attention_gatv2_backward(const BoundCsr& csr, const Transpose& transpose,
                                const AttentionArgs& args) const override;
  void attention_dot_backward(const BoundCsr& csr, const Transpose& transpose,
                              const AttentionArgs& args) const override;
};

const Device& cpu_device();

}  // namespace gnnlib::cpu
