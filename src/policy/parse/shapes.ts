/**
 * Node kinds of the older grammars and their fields: all of 15, then what 16 and 17 have besides or otherwise. `field:Kind` is a bare object,
 * `field:*` a node, `[]` a list; others are scalars. Written by test/suites/shapes.mjs from the packages' own declarations.
 */
export const SHAPES: Readonly<Record<15 | 16 | 17, string>> = {
  15: `
Integer ival
Float fval
Boolean boolval
String sval
BitString bsval
List items:*[]
OidList items:*[]
IntList items:*[]
A_Const ival:Integer fval:Float boolval:Boolean sval:String bsval:BitString isnull location
Alias aliasname colnames:*[]
RangeVar catalogname schemaname relname inh relpersistence alias:Alias location
GroupingFunc xpr:* args:*[] refs:*[] cols:*[] agglevelsup location
NamedArgExpr xpr:* arg:* name argnumber location
BoolExpr xpr:* boolop args:*[] location
SubLink xpr:* subLinkType subLinkId testexpr:* operName:*[] subselect:* location
CollateExpr xpr:* arg:* collOid location
CaseExpr xpr:* casetype casecollid arg:* args:*[] defresult:* location
CaseWhen xpr:* expr:* result:* location
RowExpr xpr:* args:*[] row_typeid row_format colnames:*[] location
CoalesceExpr xpr:* coalescetype coalescecollid args:*[] location
MinMaxExpr xpr:* minmaxtype minmaxcollid inputcollid op args:*[] location
SQLValueFunction xpr:* op type typmod location
XmlExpr xpr:* op name named_args:*[] arg_names:*[] args:*[] xmloption type typmod location
NullTest xpr:* arg:* nulltesttype argisrow location
BooleanTest xpr:* arg:* booltesttype location
SetToDefault xpr:* typeId typeMod collation location
CurrentOfExpr xpr:* cvarno cursor_name cursor_param
JoinExpr jointype isNatural larg:* rarg:* usingClause:*[] join_using_alias:Alias quals:* alias:Alias rtindex
IntoClause rel:RangeVar colNames:*[] accessMethod options:*[] onCommit tableSpaceName viewQuery:* skipData
RawStmt stmt:* stmt_location stmt_len
InsertStmt relation:RangeVar cols:*[] selectStmt:* onConflictClause:OnConflictClause returningList:*[] withClause:WithClause override
DeleteStmt relation:RangeVar usingClause:*[] whereClause:* returningList:*[] withClause:WithClause
UpdateStmt relation:RangeVar targetList:*[] whereClause:* fromClause:*[] returningList:*[] withClause:WithClause
MergeStmt relation:RangeVar sourceRelation:* joinCondition:* mergeWhenClauses:*[] withClause:WithClause
SelectStmt distinctClause:*[] intoClause:IntoClause targetList:*[] fromClause:*[] whereClause:* groupClause:*[] groupDistinct havingClause:* windowClause:*[] valuesLists:*[] sortClause:*[] limitOffset:* limitCount:* limitOption lockingClause:*[] withClause:WithClause op all larg:SelectStmt rarg:SelectStmt
ReturnStmt returnval:*
PLAssignStmt name indirection:*[] nnames val:SelectStmt location
AlterTableStmt relation:RangeVar cmds:*[] objtype missing_ok
AlterTableCmd subtype name num newowner:RoleSpec def:* behavior missing_ok recurse
AlterDomainStmt subtype typeName:*[] name def:* behavior missing_ok
SetOperationStmt op all larg:* rarg:* colTypes:*[] colTypmods:*[] colCollations:*[] groupClauses:*[]
GrantStmt is_grant targtype objtype objects:*[] privileges:*[] grantees:*[] grant_option grantor:RoleSpec behavior
GrantRoleStmt granted_roles:*[] grantee_roles:*[] is_grant admin_opt grantor:RoleSpec behavior
AlterDefaultPrivilegesStmt options:*[] action:GrantStmt
ClosePortalStmt portalname
ClusterStmt relation:RangeVar indexname params:*[]
CopyStmt relation:RangeVar query:* attlist:*[] is_from is_program filename options:*[] whereClause:*
CreateStmt relation:RangeVar tableElts:*[] inhRelations:*[] partbound:PartitionBoundSpec partspec:PartitionSpec ofTypename:TypeName constraints:*[] options:*[] oncommit tablespacename accessMethod if_not_exists
DefineStmt kind oldstyle defnames:*[] args:*[] definition:*[] if_not_exists replace
DropStmt objects:*[] removeType behavior missing_ok concurrent
TruncateStmt relations:*[] restart_seqs behavior
CommentStmt objtype object:* comment
FetchStmt direction howMany portalname ismove
IndexStmt idxname relation:RangeVar accessMethod tableSpace indexParams:*[] indexIncludingParams:*[] options:*[] whereClause:* excludeOpNames:*[] idxcomment indexOid oldNode oldCreateSubid oldFirstRelfilenodeSubid unique nulls_not_distinct primary isconstraint deferrable initdeferred transformed concurrent if_not_exists reset_default_tblspc
CreateFunctionStmt is_procedure replace funcname:*[] parameters:*[] returnType:TypeName options:*[] sql_body:*
AlterFunctionStmt objtype func:ObjectWithArgs actions:*[]
DoStmt args:*[]
RenameStmt renameType relationType relation:RangeVar object:* subname newname behavior missing_ok
RuleStmt relation:RangeVar rulename whereClause:* event instead actions:*[] replace
NotifyStmt conditionname payload
ListenStmt conditionname
UnlistenStmt conditionname
TransactionStmt kind options:*[] savepoint_name gid chain
ViewStmt view:RangeVar aliases:*[] query:* replace options:*[] withCheckOption
LoadStmt filename
CreateDomainStmt domainname:*[] typeName:TypeName collClause:CollateClause constraints:*[]
CreatedbStmt dbname options:*[]
DropdbStmt dbname missing_ok options:*[]
VacuumStmt options:*[] rels:*[] is_vacuumcmd
ExplainStmt query:* options:*[]
CreateTableAsStmt query:* into:IntoClause objtype is_select_into if_not_exists
CreateSeqStmt sequence:RangeVar options:*[] ownerId for_identity if_not_exists
AlterSeqStmt sequence:RangeVar options:*[] for_identity missing_ok
VariableSetStmt kind name args:*[] is_local
VariableShowStmt name
DiscardStmt target
CreateTrigStmt replace isconstraint trigname relation:RangeVar funcname:*[] args:*[] row timing events columns:*[] whenClause:* transitionRels:*[] deferrable initdeferred constrrel:RangeVar
CreatePLangStmt replace plname plhandler:*[] plinline:*[] plvalidator:*[] pltrusted
CreateRoleStmt stmt_type role options:*[]
AlterRoleStmt role:RoleSpec options:*[] action
DropRoleStmt roles:*[] missing_ok
LockStmt relations:*[] mode nowait
ConstraintsSetStmt constraints:*[] deferred
ReindexStmt kind relation:RangeVar name params:*[]
CheckPointStmt
CreateSchemaStmt schemaname authrole:RoleSpec schemaElts:*[] if_not_exists
AlterDatabaseStmt dbname options:*[]
AlterDatabaseRefreshCollStmt dbname
AlterDatabaseSetStmt dbname setstmt:VariableSetStmt
AlterRoleSetStmt role:RoleSpec database setstmt:VariableSetStmt
CreateConversionStmt conversion_name:*[] for_encoding_name to_encoding_name func_name:*[] def
CreateCastStmt sourcetype:TypeName targettype:TypeName func:ObjectWithArgs context inout
CreateOpClassStmt opclassname:*[] opfamilyname:*[] amname datatype:TypeName items:*[] isDefault
CreateOpFamilyStmt opfamilyname:*[] amname
AlterOpFamilyStmt opfamilyname:*[] amname isDrop items:*[]
PrepareStmt name argtypes:*[] query:*
ExecuteStmt name params:*[]
DeallocateStmt name
DeclareCursorStmt portalname options query:*
CreateTableSpaceStmt tablespacename owner:RoleSpec location options:*[]
DropTableSpaceStmt tablespacename missing_ok
AlterObjectDependsStmt objectType relation:RangeVar object:* extname:String remove
AlterObjectSchemaStmt objectType relation:RangeVar object:* newschema missing_ok
AlterOwnerStmt objectType relation:RangeVar object:* newowner:RoleSpec
AlterOperatorStmt opername:ObjectWithArgs options:*[]
AlterTypeStmt typeName:*[] options:*[]
DropOwnedStmt roles:*[] behavior
ReassignOwnedStmt roles:*[] newrole:RoleSpec
CompositeTypeStmt typevar:RangeVar coldeflist:*[]
CreateEnumStmt typeName:*[] vals:*[]
CreateRangeStmt typeName:*[] params:*[]
AlterEnumStmt typeName:*[] oldVal newVal newValNeighbor newValIsAfter skipIfNewValExists
AlterTSDictionaryStmt dictname:*[] options:*[]
AlterTSConfigurationStmt kind cfgname:*[] tokentype:*[] dicts:*[] override replace missing_ok
CreateFdwStmt fdwname func_options:*[] options:*[]
AlterFdwStmt fdwname func_options:*[] options:*[]
CreateForeignServerStmt servername servertype version fdwname if_not_exists options:*[]
AlterForeignServerStmt servername version options:*[] has_version
CreateUserMappingStmt user:RoleSpec servername if_not_exists options:*[]
AlterUserMappingStmt user:RoleSpec servername options:*[]
DropUserMappingStmt user:RoleSpec servername missing_ok
AlterTableSpaceOptionsStmt tablespacename options:*[] isReset
AlterTableMoveAllStmt orig_tablespacename objtype roles:*[] new_tablespacename nowait
SecLabelStmt objtype object:* provider label
CreateForeignTableStmt base:CreateStmt servername options:*[]
ImportForeignSchemaStmt server_name remote_schema local_schema list_type table_list:*[] options:*[]
CreateExtensionStmt extname if_not_exists options:*[]
AlterExtensionStmt extname options:*[]
AlterExtensionContentsStmt extname action objtype object:*
CreateEventTrigStmt trigname eventname whenclause:*[] funcname:*[]
AlterEventTrigStmt trigname tgenabled
RefreshMatViewStmt concurrent skipData relation:RangeVar
ReplicaIdentityStmt identity_type name
AlterSystemStmt setstmt:VariableSetStmt
CreatePolicyStmt policy_name table:RangeVar cmd_name permissive roles:*[] qual:* with_check:*
AlterPolicyStmt policy_name table:RangeVar roles:*[] qual:* with_check:*
CreateTransformStmt replace type_name:TypeName lang fromsql:ObjectWithArgs tosql:ObjectWithArgs
CreateAmStmt amname handler_name:*[] amtype
CreatePublicationStmt pubname options:*[] pubobjects:*[] for_all_tables
AlterPublicationStmt pubname options:*[] pubobjects:*[] for_all_tables action
CreateSubscriptionStmt subname conninfo publication:*[] options:*[]
AlterSubscriptionStmt kind subname conninfo publication:*[] options:*[]
DropSubscriptionStmt subname missing_ok behavior
CreateStatsStmt defnames:*[] stat_types:*[] exprs:*[] relations:*[] stxcomment transformed if_not_exists
AlterCollationStmt collname:*[]
CallStmt funccall:FuncCall funcexpr:FuncExpr outargs:*[]
AlterStatsStmt defnames:*[] stxstattarget missing_ok
A_Expr kind name:*[] lexpr:* rexpr:* location
ColumnRef fields:*[] location
ParamRef number location
FuncCall funcname:*[] args:*[] agg_order:*[] agg_filter:* over:WindowDef agg_within_group agg_star agg_distinct func_variadic funcformat location
A_Star
A_Indices is_slice lidx:* uidx:*
A_Indirection arg:* indirection:*[]
A_ArrayExpr elements:*[] location
ResTarget name indirection:*[] val:* location
MultiAssignRef source:* colno ncolumns
TypeCast arg:* typeName:TypeName location
CollateClause arg:* collname:*[] location
SortBy node:* sortby_dir sortby_nulls useOp:*[] location
WindowDef name refname partitionClause:*[] orderClause:*[] frameOptions startOffset:* endOffset:* location
RangeSubselect lateral subquery:* alias:Alias
RangeFunction lateral ordinality is_rowsfrom functions:*[] alias:Alias coldeflist:*[]
RangeTableSample relation:* method:*[] args:*[] repeatable:* location
RangeTableFunc lateral docexpr:* rowexpr:* namespaces:*[] columns:*[] alias:Alias location
RangeTableFuncCol colname typeName:TypeName for_ordinality is_not_null colexpr:* coldefexpr:* location
TypeName names:*[] typeOid setof pct_type typmods:*[] typemod arrayBounds:*[] location
ColumnDef colname typeName:TypeName compression inhcount is_local is_not_null is_from_type storage raw_default:* cooked_default:* identity identitySequence:RangeVar generated collClause:CollateClause collOid constraints:*[] fdwoptions:*[] location
IndexElem name expr:* indexcolname collation:*[] opclass:*[] opclassopts:*[] ordering nulls_ordering
StatsElem name expr:*
Constraint contype conname deferrable initdeferred location is_no_inherit raw_expr:* cooked_expr generated_when nulls_not_distinct keys:*[] including:*[] exclusions:*[] options:*[] indexname indexspace reset_default_tblspc access_method where_clause:* pktable:RangeVar fk_attrs:*[] pk_attrs:*[] fk_matchtype fk_upd_action fk_del_action fk_del_set_cols:*[] old_conpfeqop:*[] old_pktable_oid skip_validation initially_valid
DefElem defnamespace defname arg:* defaction location
GroupingSet kind content:*[] location
ObjectWithArgs objname:*[] objargs:*[] objfuncargs:*[] args_unspecified
AccessPriv priv_name cols:*[]
CreateOpClassItem itemtype name:ObjectWithArgs number order_family:*[] class_args:*[] storedtype:TypeName
TableLikeClause relation:RangeVar options relationOid
FunctionParameter name argType:TypeName mode defexpr:*
LockingClause lockedRels:*[] strength waitPolicy
XmlSerialize xmloption expr:* typeName:TypeName location
WithClause ctes:*[] recursive location
InferClause indexElems:*[] whereClause:* conname location
OnConflictClause action infer:InferClause targetList:*[] whereClause:* location
CTESearchClause search_col_list:*[] search_breadth_first search_seq_column location
CTECycleClause cycle_col_list:*[] cycle_mark_column cycle_mark_value:* cycle_mark_default:* cycle_path_column location cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop
CommonTableExpr ctename aliascolnames:*[] ctematerialized ctequery:* search_clause:CTESearchClause cycle_clause:CTECycleClause location cterecursive cterefcount ctecolnames:*[] ctecoltypes:*[] ctecoltypmods:*[] ctecolcollations:*[]
MergeWhenClause matched commandType override condition:* targetList:*[] values:*[]
RoleSpec roletype rolename location
TriggerTransition name isNew isTable
PartitionElem name expr:* collation:*[] opclass:*[] location
PartitionSpec strategy partParams:*[] location
PartitionBoundSpec strategy is_default modulus remainder listdatums:*[] lowerdatums:*[] upperdatums:*[] location
PartitionRangeDatum kind value:* location
PartitionCmd name:RangeVar bound:PartitionBoundSpec concurrent
VacuumRelation relation:RangeVar oid va_cols:*[]
PublicationObjSpec pubobjtype name pubtable:PublicationTable location
PublicationTable relation:RangeVar whereClause:* columns:*[]
`,
  16: `
GroupingFunc xpr:* args:*[] refs:*[] agglevelsup location
XmlExpr xpr:* op name named_args:*[] arg_names:*[] args:*[] xmloption indent type typmod location
JsonFormat format_type encoding location
JsonReturning format:JsonFormat typid typmod
JsonValueExpr raw_expr:* formatted_expr:* format:JsonFormat
JsonIsPredicate expr:* format:JsonFormat item_type unique_keys location
ColumnDef colname typeName:TypeName compression inhcount is_local is_not_null is_from_type storage storage_name raw_default:* cooked_default:* identity identitySequence:RangeVar generated collClause:CollateClause collOid constraints:*[] fdwoptions:*[] location
XmlSerialize xmloption expr:* typeName:TypeName indent location
JsonOutput typeName:TypeName returning:JsonReturning
JsonKeyValue key:* value:JsonValueExpr
JsonObjectConstructor exprs:*[] output:JsonOutput absent_on_null unique location
JsonArrayConstructor exprs:*[] output:JsonOutput absent_on_null location
JsonArrayQueryConstructor query:* output:JsonOutput format:JsonFormat absent_on_null location
JsonAggConstructor output:JsonOutput agg_filter:* agg_order:*[] over:WindowDef location
JsonObjectAgg constructor:JsonAggConstructor arg:JsonKeyValue absent_on_null unique
JsonArrayAgg constructor:JsonAggConstructor arg:JsonValueExpr absent_on_null
GrantRoleStmt granted_roles:*[] grantee_roles:*[] is_grant opt:*[] grantor:RoleSpec behavior
IndexStmt idxname relation:RangeVar accessMethod tableSpace indexParams:*[] indexIncludingParams:*[] options:*[] whereClause:* excludeOpNames:*[] idxcomment indexOid oldNumber oldCreateSubid oldFirstRelfilelocatorSubid unique nulls_not_distinct primary isconstraint deferrable initdeferred transformed concurrent if_not_exists reset_default_tblspc
`,
  17: `
MergeSupportFunc xpr:* msftype msfcollid location
JsonBehavior btype expr:* coerce location
MergeWhenClause matchKind commandType override condition:* targetList:*[] values:*[]
JsonArgument val:JsonValueExpr name
JsonFuncExpr op column_name context_item:JsonValueExpr pathspec:* passing:*[] output:JsonOutput on_empty:JsonBehavior on_error:JsonBehavior wrapper quotes location
JsonTablePathSpec string:* name name_location location
JsonTable context_item:JsonValueExpr pathspec:JsonTablePathSpec passing:*[] columns:*[] on_error:JsonBehavior alias:Alias lateral location
JsonTableColumn coltype name typeName:TypeName pathspec:JsonTablePathSpec format:JsonFormat wrapper quotes columns:*[] on_empty:JsonBehavior on_error:JsonBehavior location
JsonParseExpr expr:JsonValueExpr output:JsonOutput unique_keys location
JsonScalarExpr expr:* output:JsonOutput location
JsonSerializeExpr expr:JsonValueExpr output:JsonOutput location
MergeStmt relation:RangeVar sourceRelation:* joinCondition:* mergeWhenClauses:*[] returningList:*[] withClause:WithClause
Constraint contype conname deferrable initdeferred skip_validation initially_valid is_no_inherit raw_expr:* cooked_expr generated_when inhcount nulls_not_distinct keys:*[] including:*[] exclusions:*[] options:*[] indexname indexspace reset_default_tblspc access_method where_clause:* pktable:RangeVar fk_attrs:*[] pk_attrs:*[] fk_matchtype fk_upd_action fk_del_action fk_del_set_cols:*[] old_conpfeqop:*[] old_pktable_oid location
AlterStatsStmt defnames:*[] stxstattarget:* missing_ok
TransactionStmt kind options:*[] savepoint_name gid chain location
DeallocateStmt name isall location
`,
};

/** Members of enumerations that 18 has no more. */
export const GONE: ReadonlySet<string> = new Set(
  `
AT_AddColumnRecurse
AT_AddConstraintRecurse
AT_CheckNotNull
AT_DropColumnRecurse
AT_DropConstraintRecurse
AT_ValidateConstraintRecurse
`
    .trim()
    .split('\n'),
);
