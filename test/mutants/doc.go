/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package mutants proves that the tests can fail. It changes the product in one
// place, runs the tests on the changed code, and expects them to fail.
//
// There are two kinds of mutants. A defect is a patch in the folder defects that
// takes one mending out again. A mechanical mutant negates or removes one condition of
// the code that decides about evidence, or ignores a guard's refusal; the list is
// generated from the sources.
//
// Nothing is written into the working tree: the changed file reaches the compiler
// through go's -overlay flag.
package mutants
