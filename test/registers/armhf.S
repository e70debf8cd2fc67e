/* AAPCS32, 6.1.1 "Core registers": r4-r11; 6.1.2.1 "VFP register usage conventions": d8-d15. */

	.syntax	unified
	.arch	armv7-a
	.fpu	vfpv3-d16
	.arm
	.text
	.globl	call_with_registers
	.type	call_with_registers, %function
call_with_registers:
	push	{r4-r11, lr}
	push	{r1}
	vpush	{d8-d15}
	ldmia	r0!, {r4-r11}
	vldmia	r0, {d8-d15}
	blx	r2
	ldr	r0, [sp, #64]
	stmia	r0!, {r4-r11}
	vstmia	r0, {d8-d15}
	vpop	{d8-d15}
	pop	{r1}
	pop	{r4-r11, pc}
	.size	call_with_registers, . - call_with_registers

	.section .rodata
	.globl	registers_size, landing_pad, landing_pad_size
	.p2align 2
registers_size:
	.long	96
landing_pad_size:
	.long	0
landing_pad:

	.section .note.GNU-stack, "", %progbits
