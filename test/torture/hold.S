/*
 * torture_hold: puts known values into all general registers, the flags, the red zone and the vector state, spins for
 * a number of rounds without touching any of them, and stores what it finds into torture_found (registers.c).
 *
 *   void torture_hold(uint64_t loops, const void *xsave_in, void *xsave_out, uint64_t mask)
 *                     rdi            rsi                    rdx              rcx
 */
#define GPR(number) torture_wanted + 8 * number(%rip)
#define FOUND(number) torture_found + 8 * number(%rip)

  .text
  .globl torture_hold
  .type torture_hold, @function
torture_hold:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rdx, torture_out(%rip)
  mov %rcx, torture_mask(%rip)
  mov %rdi, torture_loops(%rip)
  mov %ecx, %eax
  mov %rcx, %rdx
  shr $32, %rdx
  xrstor64 (%rsi)
  pushq GPR(14)
  popfq
  /* The red zone, 128 bytes below the stack pointer, is the program's own. */
  mov GPR(15), %rax
  mov %rax, -8(%rsp)
  mov %rax, -16(%rsp)
  mov %rax, -64(%rsp)
  mov %rax, -120(%rsp)
  mov %rax, -128(%rsp)
  mov %rsp, torture_stack(%rip)
  mov GPR(0), %rax
  mov GPR(1), %rbx
  mov GPR(2), %rdx
  mov GPR(3), %rsi
  mov GPR(4), %rdi
  mov GPR(5), %rbp
  mov GPR(6), %r8
  mov GPR(7), %r9
  mov GPR(8), %r10
  mov GPR(9), %r11
  mov GPR(10), %r12
  mov GPR(11), %r13
  mov GPR(12), %r14
  mov GPR(13), %r15
  mov torture_loops(%rip), %rcx
  /* lea, jrcxz and jmp leave the flags alone. */
1:
  lea -1(%rcx), %rcx
  jrcxz 2f
  jmp 1b
2:
  mov %rax, FOUND(0)
  mov %rbx, FOUND(1)
  mov %rdx, FOUND(2)
  mov %rsi, FOUND(3)
  mov %rdi, FOUND(4)
  mov %rbp, FOUND(5)
  mov %r8, FOUND(6)
  mov %r9, FOUND(7)
  mov %r10, FOUND(8)
  mov %r11, FOUND(9)
  mov %r12, FOUND(10)
  mov %r13, FOUND(11)
  mov %r14, FOUND(12)
  mov %r15, FOUND(13)
  mov -8(%rsp), %rax
  mov %rax, FOUND(15)
  mov -16(%rsp), %rax
  mov %rax, FOUND(16)
  mov -64(%rsp), %rax
  mov %rax, FOUND(17)
  mov -120(%rsp), %rax
  mov %rax, FOUND(18)
  mov -128(%rsp), %rax
  mov %rax, FOUND(19)
  mov %rsp, FOUND(20)
  mov torture_stack(%rip), %rsp
  pushfq
  popq FOUND(14)
  cld
  mov torture_out(%rip), %rbx
  mov torture_mask(%rip), %rax
  mov torture_mask(%rip), %rdx
  shr $32, %rdx
  xsave64 (%rbx)
  /* Back to what C expects: default x87 and MXCSR, upper halves clean. */
  fninit
  ldmxcsr torture_mxcsr(%rip)
  vzeroupper
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
  .size torture_hold, . - torture_hold

  .section .rodata
  .align 4
torture_mxcsr:
  .long 0x1f80

  .bss
  .align 8
  .globl torture_stack
torture_stack:
  .zero 8
torture_out:
  .zero 8
torture_mask:
  .zero 8
torture_loops:
  .zero 8

  .section .note.GNU-stack, "", @progbits
