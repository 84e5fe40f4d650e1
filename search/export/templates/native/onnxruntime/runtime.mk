# ONNX Runtime: headers from its C++ release or Debian's libonnxruntime-dev, under ORT_HOME; the
# library from there too, or else the Python package's own, which is the one that was measured.
ORT_HOME ?= /usr
ORT_LIBRARY = $(shell if [ -e "$(ORT_HOME)/lib/libonnxruntime.so" ]; \
    then echo "$(ORT_HOME)/lib/libonnxruntime.so"; \
    else ls "$(call package,onnxruntime)"/capi/libonnxruntime.so.*; fi)
RUNTIME_INCLUDE = -I"$(ORT_HOME)/include" -I"$(ORT_HOME)/include/onnxruntime"
RUNTIME_LINK = ./libonnxruntime.so.1 -Wl,-rpath,'$$ORIGIN'
RUNTIME_FILES = libonnxruntime.so.1

# The Python package lacks the name by which the loader looks for it.
libonnxruntime.so.1:
	ln -sf "$(ORT_LIBRARY)" $@
