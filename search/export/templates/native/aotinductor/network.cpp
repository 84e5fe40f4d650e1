// AOTInductor: machine code compiled by PyTorch, called through libtorch.
#include "network.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <algorithm>
#include <stdexcept>

#include "sizes.h"

struct Network::State {
  torch::inductor::AOTIModelPackageLoader package;
  at::Device device{SIMSTEAD_DEVICE};
  at::Tensor inputs = at::zeros({SIMSTEAD_SHAPE});
};

Network::Network(const std::string& folder) try
    : state_(new State{{folder + "/network.pt2", "model", true}}) {
  at::set_num_threads(SIMSTEAD_THREADS);
} catch (const c10::Error& error) {
  throw std::runtime_error(error.what_without_backtrace());
}

Network::~Network() = default;

void Network::run(const float* inputs, float* answers) {
  const c10::InferenceMode inference;
  State& state = *state_;
  std::copy_n(inputs, state.inputs.numel(), state.inputs.mutable_data_ptr<float>());
  const auto result = state.package.run({state.inputs.to(state.device)}).at(0).cpu().contiguous();
  std::copy_n(result.const_data_ptr<float>(), result.numel(), answers);
}
