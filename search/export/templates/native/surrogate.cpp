// The C interface of a network: exceptions become error codes for C and Fortran.
#include "surrogate.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <string>
#include <vector>

#include "network.hpp"

struct simstead_surrogate {
  Network network;
};

namespace {

thread_local std::string error;

bool is_finite(const float* values) {
  return std::all_of(values, values + SIMSTEAD_INPUTS, [](float value) {
    return std::isfinite(value);
  });
}

// Integer networks take NaN for a number: samples with one are replaced by zeros, and their outputs
// by NaN.
void run_guarded(Network& network, const float* inputs, float* answers) {
  std::vector<int> invalid;
  for (int sample = 0; sample < SIMSTEAD_BATCH; ++sample) {
    if (!is_finite(inputs + sample * SIMSTEAD_INPUTS)) invalid.push_back(sample);
  }
  if (invalid.empty()) {
    network.run(inputs, answers);
    return;
  }
  std::vector<float> replaced(inputs, inputs + SIMSTEAD_BATCH * SIMSTEAD_INPUTS);
  for (int sample : invalid) {
    std::fill_n(replaced.begin() + sample * SIMSTEAD_INPUTS, SIMSTEAD_INPUTS, 0.0f);
  }
  network.run(replaced.data(), answers);
  for (int sample : invalid) {
    std::fill_n(answers + sample * SIMSTEAD_OUTPUTS, SIMSTEAD_OUTPUTS, NAN);
  }
}

template <typename Work>
bool succeeds(Work work) {
  try {
    work();
    return true;
  } catch (const std::exception& failure) {
    error = failure.what();
  } catch (...) {
    error = "unknown";
  }
  return false;
}

}  // namespace

extern "C" simstead_surrogate* simstead_open(const char* folder) {
  simstead_surrogate* surrogate = nullptr;
  if (!succeeds([&] { surrogate = new simstead_surrogate{Network(folder)}; })) {
    error = std::string(folder) + ": " + error;
  }
  return surrogate;
}

extern "C" int simstead_run(simstead_surrogate* surrogate, const float* inputs, float* answers) {
  return succeeds([&] { run_guarded(surrogate->network, inputs, answers); }) ? 0 : 1;
}

extern "C" const char* simstead_error() { return error.c_str(); }

extern "C" void simstead_close(simstead_surrogate* surrogate) { delete surrogate; }
