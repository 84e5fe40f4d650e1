// The C interface of a network: exceptions become error codes for C and Fortran.
#include "surrogate.h"

#include <exception>
#include <string>

#include "network.hpp"

struct simstead_surrogate {
  Network network;
};

namespace {

thread_local std::string error;

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
  return succeeds([&] { surrogate->network.run(inputs, answers); }) ? 0 : 1;
}

extern "C" const char* simstead_error() { return error.c_str(); }

extern "C" void simstead_close(simstead_surrogate* surrogate) { delete surrogate; }
