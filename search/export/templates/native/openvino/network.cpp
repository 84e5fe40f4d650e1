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
  State& own = *state_;
  own.request =
      own.core
          .compile_model(folder + "/network.xml", "CPU",
                         ov::AnyMap{
                             // Left alone, OpenVINO takes bf16 where the processor has it.
                             ov::hint::inference_precision(precision == "bf16"   ? ov::element::bf16
                                                           : precision == "fp16" ? ov::element::f16
                                                                                 : ov::element::f32),
                             ov::inference_num_threads(SIMSTEAD_THREADS),
                             ov::num_streams(1),
                             ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                         })
          .create_infer_request();
  own.request.set_input_tensor(own.inputs);
  own.request.set_output_tensor(own.answers);
}

Network::~Network() = default;

void Network::run(const float* inputs, float* answers) {
  State& own = *state_;
  std::copy_n(inputs, own.inputs.get_size(), own.inputs.data<float>());
  own.request.infer();
  std::copy_n(own.answers.data<float>(), own.answers.get_size(), answers);
}
