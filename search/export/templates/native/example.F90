#include "sizes.h"
! A host loop that calls the network with the recorded inputs, compares the outputs, and times it.
program example
  use, intrinsic :: iso_c_binding, only: c_associated, c_float, c_ptr
  use, intrinsic :: iso_fortran_env, only: error_unit, int64, real64
  use surrogate
  implicit none

  integer, parameter :: warm_up = 20
  real(real64), parameter :: timed_s = 0.5_real64
  real(c_float) :: inputs(inputs_per_sample, batch), answers(outputs_per_sample, batch)
  real(c_float) :: recorded(outputs_per_sample, batch)
  real(real64) :: away, passed
  type(c_ptr) :: handle
  character(len=4096) :: folder
  integer(int64) :: started, now, rate
  integer :: calls, i

  folder = "../.."
  if (command_argument_count() > 0) call get_command_argument(1, folder)
  call read_numbers(trim(folder) // "/use/inputs.bin", inputs)
  call read_numbers(trim(folder) // "/use/answers.bin", recorded)

  handle = open_surrogate(folder)
  if (.not. c_associated(handle)) call fail()
  do i = 1, warm_up
    if (run_surrogate(handle, inputs, answers) /= 0) call fail()
  end do
  calls = 0
  passed = 0.0_real64
  call system_clock(started, rate)
  do while (passed < timed_s)
    if (run_surrogate(handle, inputs, answers) /= 0) call fail()
    calls = calls + 1
    call system_clock(now)
    passed = real(now - started, real64) / real(rate, real64)
  end do
  call close_surrogate(handle)

  away = norm2(real(answers, real64) - real(recorded, real64)) &
      / max(norm2(real(recorded, real64)), tiny(away))
  print "(a, es9.2, a, f0.2, a, i0)", "Fortran: ", away, " away, ", 1e6_real64 * passed / calls, &
      " us a call of ", batch
  if (.not. away <= SIMSTEAD_TOLERANCE) stop 1

contains

  subroutine read_numbers(path, values)
    character(len=*), intent(in) :: path
    real(c_float), intent(out) :: values(:, :)
    integer :: unit, status

    open(newunit=unit, file=path, access="stream", form="unformatted", status="old", &
        action="read", iostat=status)
    if (status == 0) read(unit, iostat=status) values
    if (status /= 0) then
      write(error_unit, "(2a)") path, " can't be read"
      stop 2
    end if
    close(unit)
  end subroutine read_numbers

  subroutine fail()
    write(error_unit, "(a)") error_message()
    stop 2
  end subroutine fail

end program example
