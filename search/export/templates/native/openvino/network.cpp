// OpenVINO, bound to two buffers.
#include "network.hpp"

#include <algorithm>
#include <openvino/openvino.hpp>

#include "sizes.h"

struct Network::State {
  ov::Core core;
  ov::Tensor inputs{ov::element::f32, {SIMSTEAD_SHAPE}};
  ov::Tensor answers{ov::element::f32, {SIMSTEAD_BATCH, SIMSTEAD_OUTPUTS}};
  ov::InferRequest request;
};

Network::Network(const std::string& folder) : state_(std::make_unique<State>()) {
  const std::string precision = SIMSTEAD_PRECISION;
  State& state = *state_;
  state.request =
      state.core
          .compile_model(folder + "/network.xml", "CPU",
                         ov::AnyMap{
                             // By default OpenVINO computes in bf16 on processors that have it.
                             ov::hint::inference_precision(precision == "bf16"   ? ov::element::bf16
                                                           : precision == "fp16" ? ov::element::f16
                                                                                 : ov::element::f32),
                             ov::inference_num_threads(SIMSTEAD_THREADS),
                             ov::num_streams(1),
                             ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                         })
          .create_infer_request();
  state.request.set_input_tensor(state.inputs);
  state.request.set_output_tensor(state.answers);
}

Network::~Network() = default;

void Network::run(const float* inputs, float* answers) {
  State& state = *state_;
  std::copy_n(inputs, state.inputs.get_size(), state.inputs.data<float>());
  state.request.infer();
  std::copy_n(state.answers.data<float>(), state.answers.get_size(), answers);
}
