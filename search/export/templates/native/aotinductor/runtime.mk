# AOTInductor: headers and libraries from PyTorch's Python package, or from libtorch's folder.
TORCH ?= $(call package,torch)
RUNTIME_INCLUDE = -isystem "$(TORCH)/include" -isystem "$(TORCH)/include/torch/csrc/api/include"
# libtorch must be linked as a whole: no symbol of its CUDA library is used, but it is needed.
RUNTIME_LINK = -L"$(TORCH)/lib" -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 \
    -Wl,-rpath,"$(TORCH)/lib"
