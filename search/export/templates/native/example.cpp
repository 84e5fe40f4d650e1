// A host loop that calls the network with the recorded inputs, compares the outputs, and times it.
#include <algorithm>
#include <cfloat>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "surrogate.h"

namespace {

constexpr int kWarmUp = 20;
constexpr double kTimedSeconds = 0.5;

std::vector<float> numbers(const std::string& path, size_t count) {
  std::vector<float> values(count);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(values.data()), count * sizeof(float))) {
    std::fprintf(stderr, "%s can't be read\n", path.c_str());
    std::exit(2);
  }
  return values;
}

void call(simstead_surrogate* surrogate, const std::vector<float>& inputs,
          std::vector<float>& answers) {
  if (simstead_run(surrogate, inputs.data(), answers.data()) != 0) {
    std::fprintf(stderr, "%s\n", simstead_error());
    std::exit(2);
  }
}

double distance(const std::vector<float>& outputs, const std::vector<float>& recorded) {
  double difference = 0.0, norm = 0.0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    difference += std::pow(double(outputs[i]) - recorded[i], 2);
    norm += std::pow(double(recorded[i]), 2);
  }
  return std::sqrt(difference / std::max(norm, DBL_MIN));
}

}  // namespace

int main(int count, char** arguments) {
  const std::string folder = count > 1 ? arguments[1] : "../..";
  const auto inputs = numbers(folder + "/use/inputs.bin", SIMSTEAD_BATCH * SIMSTEAD_INPUTS);
  const auto recorded = numbers(folder + "/use/answers.bin", SIMSTEAD_BATCH * SIMSTEAD_OUTPUTS);
  std::vector<float> answers(recorded.size());

  simstead_surrogate* surrogate = simstead_open(folder.c_str());
  if (surrogate == nullptr) {
    std::fprintf(stderr, "%s\n", simstead_error());
    return 2;
  }
  for (int i = 0; i < kWarmUp; ++i) call(surrogate, inputs, answers);
  const auto started = std::chrono::steady_clock::now();
  std::chrono::duration<double> passed{0.0};
  int calls = 0;
  for (; passed.count() < kTimedSeconds; ++calls) {
    call(surrogate, inputs, answers);
    passed = std::chrono::steady_clock::now() - started;
  }
  const double away = distance(answers, recorded);
  auto spoilt = inputs;
  spoilt[0] = NAN;
  call(surrogate, spoilt, answers);
  simstead_close(surrogate);
  if (!std::isnan(answers[0])) {
    std::fprintf(stderr, "a sample with NaN as an input has a number as its output\n");
    return 1;
  }
  std::printf("C++: %.3g away, %.2f us a call of %d\n", away, 1e6 * passed.count() / calls,
              SIMSTEAD_BATCH);
  return away <= SIMSTEAD_TOLERANCE ? 0 : 1;
}
