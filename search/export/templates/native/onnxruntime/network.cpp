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
  const std::vector<int64_t> reads = {SIMSTEAD_SHAPE};
  const std::vector<int64_t> answers = {SIMSTEAD_BATCH, SIMSTEAD_OUTPUTS};
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(SIMSTEAD_THREADS);
  options.SetInterOpNumThreads(1);
  State& own = *state_;
  own.session = Ort::Session(own.environment, (folder + "/network.onnx").c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
  own.binding = Ort::IoBinding(own.session);
  own.binding.BindInput("inputs", Ort::Value::CreateTensor<float>(memory, own.inputs.data(),
                                                                  own.inputs.size(), reads.data(),
                                                                  reads.size()));
  own.binding.BindOutput("outputs", Ort::Value::CreateTensor<float>(
                                        memory, own.answers.data(), own.answers.size(),
                                        answers.data(), answers.size()));
}

Network::~Network() = default;

void Network::run(const float* inputs, float* answers) {
  State& own = *state_;
  std::copy_n(inputs, own.inputs.size(), own.inputs.data());
  own.session.Run(Ort::RunOptions{nullptr}, own.binding);
  std::copy_n(own.answers.data(), own.answers.size(), answers);
}
