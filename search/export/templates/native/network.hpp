// A network in its runtime; network.cpp implements it for the runtime of this artefact.
#ifndef SIMSTEAD_NETWORK_HPP
#define SIMSTEAD_NETWORK_HPP

#include <memory>
#include <string>

class Network {
 public:
  // Load the network of an artefact; exceptions of the runtime are passed on.
  explicit Network(const std::string& folder);
  ~Network();

  // Compute the outputs of one batch.
  void run(const float* inputs, float* answers);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

#endif
