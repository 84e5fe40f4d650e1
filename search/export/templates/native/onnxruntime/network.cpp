// ONNX Runtime, bound to two buffers.
#include "network.hpp"

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "sizes.h"

struct Network::State {
  Ort::Env environment{ORT_LOGGING_LEVEL_ERROR, "simstead"};
  std::vector<float> inputs = std::vector<float>(SIMSTEAD_BATCH * SIMSTEAD_INPUTS);
  std::vector<float> answers = std::vector<float>(SIMSTEAD_BATCH * SIMSTEAD_OUTPUTS);
  Ort::Session session{nullptr};
  Ort::IoBinding binding{nullptr};
};

Network::Network(const std::string& folder) {
  if (OrtGetApiBase()->GetApi(ORT_API_VERSION) == nullptr) {
    throw std::runtime_error("ONNX Runtime's headers are newer than its library: set ORT_HOME");
  }
  state_ = std::make_unique<State>();
  const std::vector<int64_t> input_shape = {SIMSTEAD_SHAPE};
  const std::vector<int64_t> output_shape = {SIMSTEAD_BATCH, SIMSTEAD_OUTPUTS};
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(SIMSTEAD_THREADS);
  options.SetInterOpNumThreads(1);
  State& state = *state_;
  state.session = Ort::Session(state.environment, (folder + "/network.onnx").c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
  state.binding = Ort::IoBinding(state.session);
  state.binding.BindInput("inputs", Ort::Value::CreateTensor<float>(
                                        memory, state.inputs.data(), state.inputs.size(),
                                        input_shape.data(), input_shape.size()));
  state.binding.BindOutput("outputs", Ort::Value::CreateTensor<float>(
                                          memory, state.answers.data(), state.answers.size(),
                                          output_shape.data(), output_shape.size()));
}

Network::~Network() = default;

void Network::run(const float* inputs, float* answers) {
  State& state = *state_;
  std::copy_n(inputs, state.inputs.size(), state.inputs.data());
  state.session.Run(Ort::RunOptions{nullptr}, state.binding);
  std::copy_n(state.answers.data(), state.answers.size(), answers);
}
