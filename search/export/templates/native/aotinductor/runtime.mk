# AOTInductor: headers and libraries from PyTorch's Python package, or from libtorch's folder.
TORCH ?= $(call package,torch)
RUNTIME_INCLUDE = -isystem "$(TORCH)/include" -isystem "$(TORCH)/include/torch/csrc/api/include"
# Of libtorch's libraries the one for CUDA is called by none, yet has to be there.
RUNTIME_LINK = -L"$(TORCH)/lib" -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 \
    -Wl,-rpath,"$(TORCH)/lib"
