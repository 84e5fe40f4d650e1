# ONNX Runtime: headers from its C++ release or Debian's libonnxruntime-dev, under ORT_HOME. The
# library is taken from there, or else from the Python package, with which times were measured.
ORT_HOME ?= /usr
ORT_LIBRARY = $(shell if [ -e "$(ORT_HOME)/lib/libonnxruntime.so" ]; \
    then echo "$(ORT_HOME)/lib/libonnxruntime.so"; \
    else ls "$(call package,onnxruntime)"/capi/libonnxruntime.so.*; fi)
RUNTIME_INCLUDE = -I"$(ORT_HOME)/include" -I"$(ORT_HOME)/include/onnxruntime"
RUNTIME_LINK = ./libonnxruntime.so.1 -Wl,-rpath,'$$ORIGIN'
RUNTIME_FILES = libonnxruntime.so.1

# In the Python package the library lacks the name that the loader searches for.
libonnxruntime.so.1:
	ln -sf "$(ORT_LIBRARY)" $@
