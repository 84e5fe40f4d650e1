# OpenVINO: headers and library from the Python package.
OPENVINO = $(call package,openvino)
RUNTIME_INCLUDE = -isystem "$(OPENVINO)/include"
RUNTIME_LINK = "$(OPENVINO)"/libs/libopenvino.so.* -Wl,-rpath,"$(OPENVINO)/libs"
