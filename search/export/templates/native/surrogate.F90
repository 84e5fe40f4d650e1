#include "sizes.h"
! An exported network as a kernel: surrogate.h for Fortran. The last index is the sample.
module surrogate
  use, intrinsic :: iso_c_binding, only: c_char, c_f_pointer, c_float, c_int, c_null_char, &
      c_ptr, c_size_t
  implicit none
  private
  public :: batch, inputs_per_sample, outputs_per_sample
  public :: open_surrogate, run_surrogate, close_surrogate, error_message

  integer, parameter :: batch = SIMSTEAD_BATCH
  integer, parameter :: inputs_per_sample = SIMSTEAD_INPUTS
  integer, parameter :: outputs_per_sample = SIMSTEAD_OUTPUTS

  interface
    function simstead_open(folder) result(handle) bind(c)
      import :: c_char, c_ptr
      character(kind=c_char), intent(in) :: folder(*)
      type(c_ptr) :: handle
    end function simstead_open

    function simstead_error() result(words) bind(c)
      import :: c_ptr
      type(c_ptr) :: words
    end function simstead_error

    ! Returns 0, or 1 on failure.
    function run_surrogate(handle, inputs, answers) result(status) bind(c, name="simstead_run")
      import :: batch, c_float, c_int, c_ptr, inputs_per_sample, outputs_per_sample
      type(c_ptr), value :: handle
      real(c_float), intent(in) :: inputs(inputs_per_sample, batch)
      real(c_float), intent(out) :: answers(outputs_per_sample, batch)
      integer(c_int) :: status
    end function run_surrogate

    subroutine close_surrogate(handle) bind(c, name="simstead_close")
      import :: c_ptr
      type(c_ptr), value :: handle
    end subroutine close_surrogate

    function strlen(words) result(length) bind(c)
      import :: c_ptr, c_size_t
      type(c_ptr), value :: words
      integer(c_size_t) :: length
    end function strlen
  end interface

contains

  ! Returns the network of an artefact, the folder with manifest.json; not associated on failure.
  function open_surrogate(folder) result(handle)
    character(len=*), intent(in) :: folder
    type(c_ptr) :: handle

    handle = simstead_open(trim(folder) // c_null_char)
  end function open_surrogate

  ! Returns the error of this thread's last failed call.
  function error_message() result(message)
    character(len=:), allocatable :: message
    character(kind=c_char), pointer :: words(:)
    type(c_ptr) :: address
    integer :: i

    address = simstead_error()
    call c_f_pointer(address, words, [strlen(address)])
    allocate(character(len=size(words)) :: message)
    do i = 1, size(words)
      message(i:i) = words(i)
    end do
  end function error_message

end module surrogate
