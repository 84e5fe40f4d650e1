// A network in its runtime; network.cpp has the one of this artefact.
#ifndef SIMSTEAD_NETWORK_HPP
#define SIMSTEAD_NETWORK_HPP

#include <memory>
#include <string>

class Network {
 public:
  // Load the network of an artefact; throws what its runtime throws.
  explicit Network(const std::string& folder);
  ~Network();

  // Answer one batch.
  void run(const float* inputs, float* answers);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

#endif
